// Sums of many terms that arrive one at a time, with an error that does not grow with their number. For the library's
// own .cpp files; where all terms lie in memory, kernel::reduce_sum is faster.
#pragma once

#include <cmath>
#include <cstdint>

namespace dygrad::kernel {

/// Up to so many terms are added in their own dtype, with at most as many roundings.
inline constexpr std::int64_t kMaxPlainTerms = 64;

/// All bytes zero is an empty sum.
template <class T>
struct AccurateSum;

/// float32 in float64: 2^29 terms cost half a unit in the last place of float32.
template <>
struct AccurateSum<float> {
  double total = 0;

  void add(float term) { total += static_cast<double>(term); }
  float value() const { return static_cast<float>(total); }
};

/// float64 with the sum of what the additions rounded off: about one rounding, however many terms (for n terms
/// n^2 2^-106 of the sum of their magnitudes, beside it).
/// Source: Ogita, Rump and Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26 (2005), algorithm Sum2.
template <>
struct AccurateSum<double> {
  double total = 0, rest = 0;

  void add(double term) {
    const double sum = total + term, part = sum - total;
    rest += (total - (sum - part)) + (term - part);
    total = sum;
  }
  /// An infinite total, or NaN, has no rest.
  double value() const { return std::isfinite(rest) ? total + rest : total; }
};

}  // namespace dygrad::kernel
