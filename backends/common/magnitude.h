// How large the numbers of an operand are: whether all are finite, and how far the largest one is from the others. For
// the .cpp files of backends/.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

struct Magnitude {
  double largest = 0;  ///< of all absolute values; infinity if one is not finite
  double typical = 0;  ///< the upper quartile of a sample of those that are not 0
  bool is_finite() const { return largest < std::numeric_limits<double>::infinity(); }
};

/// Of weights, kept beside them like prepacked ones.
Magnitude magnitude_of_weights(const Tensor& w);
/// True if no number of x is infinite or undefined.
bool is_finite(const Tensor& x);

/// A quantile of f(i) over i in [0, count): of those of a few i, spread over the range, where f is not 0; 0 if it is 0
/// everywhere. The same i every time. A few outliers do not change it much.
template <class F>
double sampled_quantile(std::int64_t count, double quantile, const F& f) {
  constexpr std::size_t kSamples = 16;
  constexpr double kGolden = 0.6180339887498949;  // steps of this part of a range leave no gap and meet no period
  std::int64_t step = static_cast<std::int64_t>(kGolden * static_cast<double>(count)) | 1;
  while (std::gcd(step, count) != 1) ++step;
  std::array<double, kSamples> samples{};
  std::size_t found = 0;
  for (std::int64_t i = 0, at = 0; i < count && found < kSamples; ++i, at = (at + step) % count) {
    const double value = f(at);
    if (value != 0) samples[found++] = std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
  }
  if (found == 0) return 0;
  const auto place = static_cast<std::ptrdiff_t>(quantile * static_cast<double>(found - 1));
  std::nth_element(samples.begin(), samples.begin() + place, samples.begin() + static_cast<std::ptrdiff_t>(found));
  return samples[static_cast<std::size_t>(place)];
}

}  // namespace dygrad
