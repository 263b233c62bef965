// What ops do besides computing, per thread: record or not, and remember where they were called.
#pragma once

#include <dygrad/core/base/record_state.h>

namespace dygrad {

/// True if ops on this thread record what a backward pass needs.
inline bool is_grad_enabled() { return detail::record_state().grad_enabled; }

/// While alive, sets whether ops on this thread record; then restores what was, also on exceptions. Nests.
class SetGradEnabled {
 public:
  explicit SetGradEnabled(bool enabled) : SetGradEnabled(enabled, detail::record_state()) {}
  /// For callers that have this thread's state at hand.
  SetGradEnabled(bool enabled, detail::RecordState& state) : state_(state), previous_(state.grad_enabled) {
    state.grad_enabled = enabled;
  }
  ~SetGradEnabled() { state_.grad_enabled = previous_; }
  SetGradEnabled(const SetGradEnabled&) = delete;
  SetGradEnabled& operator=(const SetGradEnabled&) = delete;

 private:
  detail::RecordState& state_;
  bool previous_;
};

/// While alive, nothing is recorded on this thread: results have stop_gradient() true.
class NoGrad : public SetGradEnabled {
 public:
  NoGrad() : SetGradEnabled(false) {}
};

/// While alive, ops record again, inside a NoGrad.
class EnableGrad : public SetGradEnabled {
 public:
  EnableGrad() : SetGradEnabled(true) {}
};

}  // namespace dygrad
