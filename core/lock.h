// Lock: a mutex of four bytes, for objects of which there are many and for headers that everybody reads.
#pragma once

#include <atomic>

#include <dygrad/core/export.h>

namespace dygrad {

/// Works with std::scoped_lock. A thread that has to wait sleeps; taking a free lock is one atomic instruction.
class Lock {
 public:
  Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() noexcept {
    int expected = kFree;
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) wait_and_lock();
  }
  void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) wake_one();
  }

 private:
  static constexpr int kFree = 0, kHeld = 1, kAwaited = 2;  // awaited: held, and somebody may be sleeping

  DYGRAD_API void wait_and_lock() noexcept;
  DYGRAD_API void wake_one() noexcept;

  std::atomic<int> state_{kFree};
};

}  // namespace dygrad
