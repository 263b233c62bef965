// Whether numbers keep their meaning in a parameter's dtype. For the .cpp files of layers and optimizers.
#pragma once

#include <cmath>

#include <dygrad/core/base/dtype.h>

namespace dygrad::detail {

/// Not made infinite by the dtype.
inline bool is_finite_as(DType dtype, double value) {
  return dispatch_float(dtype, "number", [&]<class T>() { return std::isfinite(static_cast<T>(value)); });
}

/// Finite, and not rounded to 0 by the dtype.
inline bool is_positive_as(DType dtype, double value) {
  return dispatch_float(dtype, "number", [&]<class T>() { return static_cast<T>(value) > 0; }) &&
         is_finite_as(dtype, value);
}

}  // namespace dygrad::detail
