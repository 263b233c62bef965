// Reductions of strided tensors to plain values: the kernels behind sum, mean, max, min and bias gradients.
// They know nothing of derivatives.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

/// Sum over `axes`, which are distinct and non-negative; a fresh row-major tensor with extents of 1 there. Integers and
/// bool give int64. Sums are pairwise, and cut into the same blocks whatever the number of threads.
DYGRAD_API Tensor reduce_sum(const Tensor& x, const Axes& axes);
/// Largest and smallest element, float32 or float64; NaN propagates. The reduced extents must not be 0 (asserted).
DYGRAD_API Tensor reduce_max(const Tensor& x, const Axes& axes);
DYGRAD_API Tensor reduce_min(const Tensor& x, const Axes& axes);

/// `shape` with extents of 1 at `axes`.
DYGRAD_API Shape reduced_shape(const Shape& shape, const Axes& axes);

}  // namespace dygrad::kernel
