// Assign: given values, Paddle's NumpyArrayInitializer.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Copies `value`, converted to the parameter's dtype. Throws ShapeError unless the shapes are equal,
/// InvalidArgument if a finite value is infinite in the parameter's dtype.
struct DYGRAD_API Assign {
  Tensor value;
  void operator()(Tensor& parameter) const;
};

}  // namespace dygrad
