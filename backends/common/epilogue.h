// What every algorithm of convolution does around its kernel. For the .cpp files of backends/.
#pragma once

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// The result's shape of a problem of the convolution family.
inline const Shape& result_shape(const Problem& problem) {
  switch (problem.kind) {
    case Problem::Kind::conv2d: return problem.x;
    case Problem::Kind::conv2d_weights: return problem.w;
    default: return problem.y;
  }
}

/// y[n, c, h, w] = activation(y[n, c, h, w] + bias[c]), in place and in one pass: for algorithms that cannot do so
/// while a result is in the cache.
void apply_epilogue(const Epilogue& epilogue, const Tensor& y);

}  // namespace dygrad
