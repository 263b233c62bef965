// Compares two states, and copies one into the tensors of the other.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <dygrad/layers/base/state_dict.h>

namespace dygrad::detail {

/// "float32 [2, 3]", for messages.
std::string describe(const Tensor& x);

/// What of `own` is missing from `given`, does not fit it, or is not known to it.
LoadReport compare_states(const StateDict& own, const StateDict& given);

/// Copies every entry of `given` that fits into the tensor of its name in `own`. All that can fail is done when this is
/// made, so that several copies are made first and committed together.
class StateCopy {
 public:
  StateCopy(const StateDict& own, const StateDict& given);
  void commit() const noexcept;

 private:
  struct Copy {
    Tensor source, place;
  };
  std::vector<Copy> copies_;
};

}  // namespace dygrad::detail
