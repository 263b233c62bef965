// The matrices A, B and G of Note [Winograd] (winograd_transforms.h), by Toom-Cook from the interpolation points.
#pragma once

#include <array>
#include <cstddef>

namespace dygrad::native {

/// Interpolation points, those that lose fewest digits first: P points are the first P - 1 of these, and
/// infinity, where a polynomial's value is its last coefficient.
inline constexpr std::array<double, 5> kFinitePoints{0, -1, 1, 0.5, -2};

template <std::size_t kRows, std::size_t kColumns>
using SmallMatrix = std::array<std::array<double, kColumns>, kRows>;

template <std::size_t kRows, std::size_t kColumns>
constexpr SmallMatrix<kColumns, kRows> transposed(const SmallMatrix<kRows, kColumns>& from) {
  SmallMatrix<kColumns, kRows> to{};
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) to[j][i] = from[i][j];
  }
  return to;
}

/// The product of (z - p) over all finite points but one of them, lowest coefficient first. It vanishes at all others.
template <std::size_t kPoints>
constexpr std::array<double, kPoints> product_of_others(std::size_t left_out) {
  std::array<double, kPoints> product{1};
  for (std::size_t i = 0; i + 1 < kPoints; ++i) {
    if (i == left_out) continue;
    for (std::size_t k = kPoints; k-- > 0;) product[k] = (k > 0 ? product[k - 1] : 0) - kFinitePoints[i] * product[k];
  }
  return product;
}

constexpr double value_at(const auto& polynomial, double z) {
  double value = 0;
  for (std::size_t k = polynomial.size(); k-- > 0;) value = value * z + polynomial[k];
  return value;
}

/// A: values at the points of a polynomial with kCount coefficients. Its transpose is the output transform.
template <std::size_t kPoints, std::size_t kCount>
constexpr SmallMatrix<kPoints, kCount> output_matrix() {
  SmallMatrix<kPoints, kCount> values{};
  for (std::size_t i = 0; i + 1 < kPoints; ++i) {
    double power = 1;
    for (std::size_t k = 0; k < kCount; ++k, power *= kFinitePoints[i]) values[i][k] = power;
  }
  values[kPoints - 1][kCount - 1] = 1;
  return values;
}

/// What Lagrange's interpolation divides the value at a finite point by; 1 at infinity.
template <std::size_t kPoints>
constexpr double divisor(std::size_t point) {
  return point + 1 < kPoints ? value_at(product_of_others<kPoints>(point), kFinitePoints[point]) : 1;
}

/// G: likewise, each value divided by the size of its divisor. It is the filter transform.
template <std::size_t kPoints, std::size_t kCount>
constexpr SmallMatrix<kPoints, kCount> filter_matrix() {
  SmallMatrix<kPoints, kCount> values = output_matrix<kPoints, kCount>();
  for (std::size_t i = 0; i < kPoints; ++i) {
    const double scale = divisor<kPoints>(i) < 0 ? -divisor<kPoints>(i) : divisor<kPoints>(i);
    for (double& value : values[i]) value /= scale;
  }
  return values;
}

/// B: the polynomial that has these values, scaled ones as above. Its transpose is the input transform. What is known
/// at infinity multiplies the polynomial that vanishes at all finite points. The divisors' signs are here, so that
/// values at the point 0 are only added.
template <std::size_t kPoints>
constexpr SmallMatrix<kPoints, kPoints> input_matrix() {
  SmallMatrix<kPoints, kPoints> by_point{};
  for (std::size_t i = 0; i < kPoints; ++i) {
    by_point[i] = product_of_others<kPoints>(i);
    if (divisor<kPoints>(i) > 0) continue;
    for (double& coefficient : by_point[i]) coefficient = -coefficient;
  }
  return transposed<kPoints, kPoints>(by_point);
}

}  // namespace dygrad::native
