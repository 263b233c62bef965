#include <dygrad/core/lock.h>

namespace dygrad {

// Whoever slept takes the lock as awaited, since others may sleep still: at worst one needless call of wake_one().
void Lock::wait_and_lock() noexcept {
  while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) state_.wait(kAwaited);
}

void Lock::wake_one() noexcept { state_.notify_one(); }

}  // namespace dygrad
