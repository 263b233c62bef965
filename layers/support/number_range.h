// Whether numbers keep their meaning in a parameter's dtype. For the .cpp files of layers and optimizers.
#pragma once

#include <cmath>

#include <dygrad/core/base/detail/rounded.h>

namespace dygrad::detail {

/// Not made infinite by the dtype.
inline bool is_finite_as(DType dtype, double value) { return std::isfinite(rounded_to(dtype, value)); }

/// Finite, and not rounded to 0 by the dtype.
inline bool is_positive_as(DType dtype, double value) {
  return is_finite_as(dtype, value) && rounded_to(dtype, value) > 0;
}

}  // namespace dygrad::detail
