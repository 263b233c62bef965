#include <dygrad/core/base/mutex.h>

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include <dygrad/tests/support/catch.h>

using dygrad::Mutex;

TEST_CASE("a lock lets one thread at a time pass", "[threads]") {
  constexpr int kThreads = 4, kRounds = 20000;
  Mutex lock;
  int count = 0;  // not atomic: only the lock keeps the sum right
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kRounds; ++i) {
          const std::scoped_lock held(lock);
          ++count;
        }
      });
    }
  }
  CHECK(count == kThreads * kRounds);
}

TEST_CASE("a thread that waits for a lock wakes when it is free", "[threads]") {
  Mutex lock;
  bool done = false;
  lock.lock();
  std::jthread waiting([&] {
    const std::scoped_lock held(lock);
    done = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(done);  // written under the lock, which is ours
  lock.unlock();
  waiting.join();
  CHECK(done);
}

TEST_CASE("a lock is four bytes") { CHECK(sizeof(Mutex) == 4); }
