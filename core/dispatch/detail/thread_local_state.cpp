#include <dygrad/core/dispatch/detail/thread_local_state.h>

namespace dygrad {

ThreadLocalState::ThreadLocalState()
    : execution_(execution_context()), forced_backend_(forced_backend()), record_(detail::record_state()) {}

ThreadLocalStateGuard::ThreadLocalStateGuard(const ThreadLocalState& state)
    : previous_record_(detail::record_state()), execution_(state.execution_) {
  if (state.forced_backend_) backend_.emplace(state.forced_backend_->name());
  detail::record_state() = state.record_;
}

ThreadLocalStateGuard::~ThreadLocalStateGuard() { detail::record_state() = previous_record_; }

}  // namespace dygrad
