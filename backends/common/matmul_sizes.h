// The integers of one batched matrix product, shared by the backends. For the .cpp files of backends/.
#pragma once

#include <cstdint>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// a [B..., m, k] times b [B..., k, n] = c [B..., m, n]; `batch` is the product of the leading extents B.
struct MatmulSizes {
  MatmulSizes(const Tensor& a, const Tensor& b) : m(a.dim(-2)), n(b.dim(-1)), k(a.dim(-1)), c_shape(a.shape()) {
    for (int d = 0; d < a.rank() - 2; ++d) batch *= a.dim(d);
    c_shape[a.rank() - 1] = n;
  }

  std::int64_t batch = 1;
  std::int64_t m, n, k;
  Shape c_shape;
};

}  // namespace dygrad
