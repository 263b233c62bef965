// What the tests of ops share: seeded operands and comparisons.
#pragma once

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::testing {

inline constexpr double kEpsilon32 = std::numeric_limits<float>::epsilon();
inline constexpr double kEpsilon64 = std::numeric_limits<double>::epsilon();
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Evenly distributed in [-1, 1).
inline Tensor spread_values(const Shape& shape, std::uint32_t seed, DType dtype = float64) {
  std::mt19937_64 engine(seed);
  std::vector<double> values(static_cast<std::size_t>(num_elements(shape)));
  for (double& value : values) value = std::ldexp(static_cast<double>(engine() >> 11), -52) - 1;
  return kernel::cast(from_vector(values, shape), dtype);
}

/// Whole numbers from -3 to 3: their sums of products are exact in every float type, whatever the order.
inline Tensor small_integers(const Shape& shape, std::uint32_t seed, DType dtype = float64) {
  std::mt19937 engine(seed);
  std::vector<std::int64_t> values(static_cast<std::size_t>(num_elements(shape)));
  for (std::int64_t& value : values) value = static_cast<std::int64_t>(engine() % 7) - 3;
  return kernel::cast(from_vector(values, shape), dtype);
}

/// The largest |a - b|; infinity where shapes differ, or only one is NaN, or infinities differ.
inline double distance(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape()) return kInfinity;
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    const double apart = std::abs(x[i] - y[i]);
    if (!(apart <= worst)) worst = std::isnan(apart) ? kInfinity : apart;
  }
  return worst;
}

/// Equal shapes and values; NaN equals NaN.
inline bool same(const Tensor& a, const Tensor& b) { return distance(a, b) == 0; }

/// The same values with channels-last strides.
inline Tensor channels_last(const Tensor& x) { return kernel::contiguous(x, MemoryFormat::channels_last); }

/// The same values in a window of a larger tensor, so that no two dimensions merge.
inline Tensor strided(const Tensor& x) {
  Shape larger = x.shape();
  for (std::int64_t& extent : larger) extent = 2 * extent + 1;
  Tensor window = full(larger, kNaN, x.dtype());
  for (int i = 0; i < x.rank(); ++i) window = view::slice(window, i, 1, larger[i], 2);
  kernel::copy(x, window);
  return window;
}

/// A leaf with the same values whose gradient is wanted.
inline Tensor leaf(const Tensor& x) {
  Tensor result = kernel::clone(x);
  result.set_stop_gradient(false);
  return result;
}

}  // namespace dygrad::testing
