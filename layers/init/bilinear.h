// Bilinear: weights with which a transposed convolution enlarges images by bilinear interpolation.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Every (c, o) plane of a [C, O/groups, k, k] weight gets
///   K[y][x] = (1 - |y/f - c|) (1 - |x/f - c|)   with  f = ceil(k/2), c = (2f - 1 - f%2) / (2f).
/// To enlarge C channels by a factor s: k = 2s - s%2, stride s, padding ceil((s-1)/2), groups = C, no bias.
/// Paddle under Python 3 ships a skewed kernel, because a row index is divided without rounding; this is the intended
/// one. Throws ShapeError unless rank 4 with a square kernel.
/// Source: Long, Shelhamer and Darrell, "Fully convolutional networks for semantic segmentation", 2015.
struct DYGRAD_API Bilinear {
  void operator()(Tensor& parameter) const;
};

}  // namespace dygrad
