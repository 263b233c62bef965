#include <dygrad/core/base/mutex.h>

namespace dygrad {

// Whoever slept takes the lock as awaited, since others may sleep still: at worst one needless call of wake_one().
void Mutex::wait_and_lock() noexcept {
  while (state_.exchange(kAwaited, std::memory_order_acquire) != kFree) state_.wait(kAwaited);
}

void Mutex::wake_one() noexcept { state_.notify_one(); }

}  // namespace dygrad
