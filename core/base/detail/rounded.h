// Numbers that arrive as double, as a dtype holds them.
#pragma once

#include <cmath>
#include <limits>

#include <dygrad/core/base/dtype.h>

namespace dygrad::detail {

/// The number as tensors of this dtype hold it: perhaps 0 or infinite. Dtypes that are not floating-point count as
/// float64.
inline double rounded_to(DType dtype, double number) {
  constexpr double kOverflow = 0x1.ffffffp127;  // half a unit in the last place above the largest float
  if (dtype != DType::float32 || std::isnan(number)) return number;
  if (std::abs(number) >= kOverflow) return std::copysign(std::numeric_limits<double>::infinity(), number);
  return static_cast<double>(static_cast<float>(number));
}

}  // namespace dygrad::detail
