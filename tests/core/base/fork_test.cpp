// What a forked child may do after its parent has computed on several threads.
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/child_process.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <atomic>
#include <string_view>
#include <thread>

#if defined(__unix__) && defined(_OPENMP) && !defined(__SANITIZE_THREAD__)

using namespace dygrad;
using dygrad::testing::exit_status_of_child;

namespace {

std::int64_t count_in_parallel() {
  std::atomic<std::int64_t> sum{0};
  parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
  return sum;
}

}  // namespace

TEST_CASE("a forked child computes, on the one thread that it has") {
  const int before = num_threads();
  set_num_threads(2);
  REQUIRE(count_in_parallel() == 100);
  CHECK(exit_status_of_child([] { return num_threads() == 1 && count_in_parallel() == 100 ? 0 : 1; }) == 0);
  CHECK(num_threads() == 2);
  REQUIRE(count_in_parallel() == 100);
  set_num_threads(before);
}

TEST_CASE("a forked child's OpenMP runtime has one thread, after libraries under us were asked, too") {
  const int before = num_threads();
  set_num_threads(2);
  REQUIRE(count_in_parallel() == 100);
  CHECK(exit_status_of_child([] {
          { const detail::GrantedThreads granted; }
          return omp_get_max_threads() == 1 ? 0 : 1;
        }) == 0);
  set_num_threads(before);
}

TEST_CASE("a forked child gets an error if it asks for more threads, and so does its child") {
  const int before = num_threads();
  set_num_threads(2);
  REQUIRE(count_in_parallel() == 100);
  const auto asks_in_vain = [] {
    set_num_threads(1);
    try {
      set_num_threads(2);
    } catch (const InvalidArgument& error) {
      const std::string_view text = error.what();
      return text.find("forked") != std::string_view::npos && text.find("fix:") != std::string_view::npos &&
             count_in_parallel() == 100;
    }
    return false;
  };
  CHECK(exit_status_of_child([&] { return asks_in_vain() ? 0 : 1; }) == 0);
  CHECK(exit_status_of_child([&] { return exit_status_of_child([&] { return asks_in_vain() ? 0 : 1; }); }) == 0);
  set_num_threads(before);
}

TEST_CASE("a thread started in a forked child has a pool of its own", "[threads]") {
  const int before = num_threads();
  set_num_threads(2);
  REQUIRE(count_in_parallel() == 100);
  CHECK(exit_status_of_child([] {
          bool right = false;
          std::thread([&] {
            set_num_threads(2);
            right = num_threads() == 2 && count_in_parallel() == 100;
          }).join();
          return right ? 0 : 1;
        }) == 0);
  set_num_threads(before);
}

#endif
