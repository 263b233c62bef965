#include <dygrad/core/base/record_state.h>

namespace dygrad::detail {

RecordState& record_state() {
  static constinit DYGRAD_THREAD_LOCAL RecordState state;
  return state;
}

}  // namespace dygrad::detail
