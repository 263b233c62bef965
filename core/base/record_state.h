// What ops on a thread record besides computing. Kept here so that threads which work for others can take it along
// (core/dispatch/detail/thread_local_state.h); autograd/grad_mode.h and autograd/anomaly.h give it its meaning.
#pragma once

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

struct RecordState {
  bool grad_enabled = true;
  bool anomaly = false;
  bool tracking = false;
  bool notes_origin() const { return anomaly || tracking; }
};
DYGRAD_API RecordState& record_state();  // of this thread

}  // namespace dygrad::detail
