// Sums over each channel of an image that batch normalisation and its gradient need, several in one pass over memory.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

/// Two values per channel, each [C].
struct ChannelPair {
  Tensor first, second;
};

/// Mean, and sum of squared distances from it. x is [N, C] or [N, C, H, W], float32 or float64, dense in either order
/// (asserted); of no rows NaN and 0. Cut into the same blocks whatever the number of threads; distances are taken from
/// the mean of a block, so that nothing cancels. Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise
/// algorithm for computing sample variances", COMPSTAT 1982. `rest`, if given, receives what rounding the mean to the
/// dtype left, [C]: as much as the distances where values are far from 0.
DYGRAD_API ChannelPair channel_moments(const Tensor& x, Tensor* rest = nullptr);

/// Sum of g, and of g (x - mean). g has x's shape and order; `mean` is [C].
DYGRAD_API ChannelPair channel_products(const Tensor& g, const Tensor& x, const Tensor& mean);

}  // namespace dygrad::kernel
