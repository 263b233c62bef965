// Mutex: a mutex of four bytes, for objects of which there are many and for headers that everybody reads.
#pragma once

#include <atomic>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include <dygrad/core/base/export.h>

namespace dygrad {

namespace detail {
/// True if this is the only thread of the process. Then plain loads and stores will do: no thread can appear but by
/// this one's doing, and a new thread sees all that was stored before it began.
inline bool is_single_threaded() noexcept {
#if __has_include(<sys/single_threaded.h>)
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}
}  // namespace detail

/// Works with std::scoped_lock. A thread that has to wait sleeps; taking a free lock is one atomic instruction.
class Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() noexcept {
    int expected = kFree;
    if (detail::is_single_threaded() && state_.load(std::memory_order_acquire) == kFree) {
      state_.store(kHeld, std::memory_order_relaxed);
      return;
    }
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) wait_and_lock();
  }
  void unlock() noexcept {
    if (detail::is_single_threaded()) state_.store(kFree, std::memory_order_release);  // who waited is a thread too
    else if (state_.exchange(kFree, std::memory_order_release) == kAwaited) wake_one();
  }

 private:
  static constexpr int kFree = 0, kHeld = 1, kAwaited = 2;  // awaited: held, and somebody may be sleeping

  DYGRAD_API void wait_and_lock() noexcept;
  DYGRAD_API void wake_one() noexcept;

  std::atomic<int> state_{kFree};
};

}  // namespace dygrad
