#include <dygrad/core/base/detail/thread_counters.h>

#include <thread>
#include <vector>

#include <dygrad/tests/support/catch.h>

using dygrad::detail::count;
using dygrad::detail::Counter;
using dygrad::detail::total;

TEST_CASE("a total adds what all threads counted, the ended ones included", "[threads]") {
  const std::int64_t before = total(Counter::live_nodes);
  count(Counter::live_nodes, 5);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) count(Counter::live_nodes, 1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(total(Counter::live_nodes) == before + 4005);
  count(Counter::live_nodes, -4005);
  CHECK(total(Counter::live_nodes) == before);
}

TEST_CASE("counting returns what this thread alone has counted", "[threads]") {
  std::thread([] {
    CHECK(count(Counter::live_nodes, 7) == 7);
    CHECK(count(Counter::live_nodes, -7) == 0);
  }).join();
}
