#include <dygrad/autograd/grad_mode.h>

namespace dygrad::detail {

RecordState& record_state() {
  static constinit thread_local RecordState state;
  return state;
}

}  // namespace dygrad::detail
