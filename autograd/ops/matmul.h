// Matrix products.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// numpy's matmul: a [..., M, K] times b [..., K, N] = [..., M, N]; leading dimensions broadcast. A 1-D operand is a
/// row (left) or a column (right) whose extra dimension disappears again. float32 and float64. Throws ShapeError if
/// inner sizes differ, DtypeError if dtypes differ.
/// Accuracy: an element is off by at most e u times the sum of its K absolute products, u being half the machine
/// epsilon: e = K up to 2^14, and 2048 + log2(K) beyond, where sums are added pairwise.
DYGRAD_API Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace dygrad
