// Norms over whole gradients, the same for any number of threads.
#pragma once

#include <span>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// factor * 2^exponent, which may be smaller than any number.
struct ClipFactor {
  double factor = 1;
  int exponent = 0;
};

/// clip_norm / max(n, clip_norm), where n is the 2-norm of all elements of these dense floating-point tensors together.
/// Squares are summed in float64, pairwise, so that the error grows with the logarithm of their number, and scaled
/// where they would overflow or vanish: n may be anything that float64 holds.
ClipFactor clip_factor(std::span<const Tensor> gradients, double clip_norm);

}  // namespace dygrad::detail
