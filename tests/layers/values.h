// Small inputs, and what is compared with them, for tests of layers.
#pragma once

#include <vector>

#include <dygrad/core/creation/factories.h>

namespace dygrad::testing {

using Values = std::vector<double>;

inline Values values(const Tensor& x) { return x.to_vector<double>(); }
/// 0, 1, 2, ... in row-major order.
inline Tensor count_up(const Shape& shape) {
  return arange(0, static_cast<double>(num_elements(shape)), 1, float32).reshape(shape);
}

}  // namespace dygrad::testing
