// ThreadLocalState: the modes of a thread (NoGrad, AnomalyMode, ExecutionGuard, BackendGuard), for another thread that
// works on its behalf.
#pragma once

#include <optional>

#include <dygrad/core/base/record_state.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/dispatch/execution.h>

namespace dygrad {

/// A copy of the modes that guards have set on the thread that makes it.
class DYGRAD_API ThreadLocalState {
 public:
  ThreadLocalState();

 private:
  friend class ThreadLocalStateGuard;
  ExecutionContext execution_;
  const Backend* forced_backend_;  // null for none
  detail::RecordState record_;
};

/// While alive, this thread works in the modes of another; then as before. Nests.
class DYGRAD_API ThreadLocalStateGuard {
 public:
  explicit ThreadLocalStateGuard(const ThreadLocalState& state);
  ~ThreadLocalStateGuard();
  ThreadLocalStateGuard(const ThreadLocalStateGuard&) = delete;
  ThreadLocalStateGuard& operator=(const ThreadLocalStateGuard&) = delete;

 private:
  detail::RecordState previous_record_;
  ExecutionGuard execution_;
  std::optional<BackendGuard> backend_;
};

}  // namespace dygrad
