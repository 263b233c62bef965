#include <dygrad/core/base/parallel.h>

#include <dygrad/core/base/detail/use_one_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/support/catch.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <string>
#include <thread>
#include <vector>

using namespace dygrad;
using dygrad::testing::MessageContains;

TEST_CASE("chunks cover the range once, for any number of threads and grain") {
  const int before = num_threads();
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    CHECK((num_threads() == threads || num_threads() == 1));  // always 1 without OpenMP
    for (std::int64_t count : {0, 1, 7, 1000}) {
      for (std::int64_t grain : {1, 3, 1000, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
        parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        for (const auto& visit : visits) REQUIRE(visit == 1);
      }
    }
  }
  set_num_threads(before);
}

TEST_CASE("a loop inside of a loop runs on the thread it is in") {
  std::atomic<int> sum{0};
  parallel_for(8, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      parallel_for(10, 1, [&](std::int64_t b, std::int64_t e) { sum += static_cast<int>(e - b); });
  });
  CHECK(sum == 80);
}

namespace {
constexpr int kMaxThreads = 1024;
}

TEST_CASE("counts of threads from 1 to 1024 are taken") {
  const int before = num_threads();
  for (const int count : {0, -1, kMaxThreads + 1, 65536, std::numeric_limits<int>::max()}) {
    CHECK_THROWS_MATCHES(
        set_num_threads(count), InvalidArgument,
        MessageContains("set_num_threads", "1 <= count <= 1024", "got " + std::to_string(count), "fix:"));
  }
  CHECK(num_threads() == before);
#if defined(_OPENMP)
  set_num_threads(kMaxThreads);
  CHECK(num_threads() == std::min(kMaxThreads, omp_get_thread_limit()));
  omp_set_num_threads(65536);  // as OMP_NUM_THREADS=65536
  CHECK(num_threads() <= kMaxThreads);
  {
    const detail::GrantedThreads granted;
    CHECK(omp_get_max_threads() <= kMaxThreads);
  }
#endif
  set_num_threads(before);
}

TEST_CASE("a thread that uses one thread does so until it is given more", "[threads]") {
  const int before = num_threads();
  set_num_threads(2);
  std::thread([] {
    detail::use_one_thread();
    CHECK(num_threads() == 1);
    set_num_threads(2);
    CHECK((num_threads() == 2 || num_threads() == 1));  // always 1 without OpenMP
  }).join();
  set_num_threads(before);
}

TEST_CASE("an exception of any chunk leaves the loop, and the next loop runs as ever") {
  const int before = num_threads();
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    for (const std::int64_t thrower : {0, 3, 9}) {
      std::atomic<int> thrown{0};
      const auto throw_at = [&](std::int64_t begin, std::int64_t end) {
        if (thrower < begin || thrower >= end) return;
        ++thrown;
        throw InvalidArgument("chunk with " + std::to_string(thrower));
      };
      CHECK_THROWS_MATCHES(parallel_for(10, 1, throw_at), InvalidArgument, MessageContains("chunk with"));
      CHECK(thrown == 1);
    }
    CHECK_THROWS_AS(parallel_for(10, 1, [](std::int64_t, std::int64_t) { throw std::bad_alloc(); }), std::bad_alloc);
    std::atomic<std::int64_t> sum{0};
    parallel_for(10, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; });
    CHECK(sum == 10);
  }
  set_num_threads(before);
}
