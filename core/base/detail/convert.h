// One value from one element type to another, without C++'s undefined cases.
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>

namespace dygrad::kernel {

/// Floats to integers truncate towards zero; out-of-range values saturate and NaN becomes 0. To bool: not zero.
template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(value)) return To{0};
    if (value <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (value >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace dygrad::kernel
