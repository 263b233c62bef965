// Matrix products.
#pragma once

#include <dygrad/core/tensor.h>

namespace dygrad {

/// numpy's matmul: a [..., M, K] times b [..., K, N] = [..., M, N]; leading dimensions broadcast. A 1-D operand is a
/// row (left) or a column (right) whose extra dimension disappears again. float32 and float64. Throws ShapeError if
/// inner sizes differ, DtypeError if dtypes differ.
DYGRAD_API Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace dygrad
