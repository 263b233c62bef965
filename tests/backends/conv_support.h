// What the backend tests share: seeded operands, the three directions by name, and the error bound of a sum of
// products.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/backends/conv_shapes.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

using Kind = Problem::Kind;
inline constexpr Kind kDirections[] = {Kind::conv2d_transpose, Kind::conv2d, Kind::conv2d_weights};

/// Whole numbers from -3 to 3: their sums of products are exact in every float type, whatever the order.
inline Tensor random_integers(const Shape& shape, DType dtype, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<std::int64_t> values(static_cast<std::size_t>(num_elements(shape)));
  for (auto& value : values) value = static_cast<std::int64_t>(engine() % 7) - 3;
  return kernel::cast(from_vector(values, shape), dtype);
}

/// Evenly distributed in [-1, 1).
inline Tensor random_values(const Shape& shape, DType dtype, std::uint32_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<double> values(static_cast<std::size_t>(num_elements(shape)));
  for (auto& value : values) value = std::ldexp(static_cast<double>(engine() >> 11), -52) - 1;
  return kernel::cast(from_vector(values, shape), dtype);
}

inline Tensor absolute(const Tensor& x) {
  std::vector<double> values = x.to_vector<double>();
  for (double& value : values) value = std::abs(value);
  return from_vector(values, x.shape());
}

/// The operands of one problem, and each direction computed from two of them.
struct ConvOperands {
  ConvShape shape;
  Tensor x, w, g;  // g is a cotangent of y

  template <class Make>
  ConvOperands(const ConvShape& s, DType dtype, Make make)
      : shape(s), x(make(s.x_shape(), dtype, 1)), w(make(s.w_shape(), dtype, 2)), g(make(s.y_shape(), dtype, 3)) {}
  ConvOperands(const ConvShape& s, Tensor x_, Tensor w_, Tensor g_)
      : shape(s), x(std::move(x_)), w(std::move(w_)), g(std::move(g_)) {}

  Tensor run(const Backend& backend, Kind kind) const {
    const Conv2DParams p = shape.params();
    if (kind == Kind::conv2d_transpose) return backend.conv2d_transpose(p, x, w);
    if (kind == Kind::conv2d) return backend.conv2d(p, g, w);
    return backend.conv2d_weights(p, x, g, {shape.kh, shape.kw});
  }

  Tensor run(const Algorithm& algorithm, Kind kind, const Epilogue& epilogue = {}) const {
    const Conv2DParams p = shape.params();
    const Problem problem{kind, x.dtype(), &p, x.shape(), w.shape(), g.shape()};
    return algorithm.run(problem, kind == Kind::conv2d ? g : x, kind == Kind::conv2d_weights ? g : w, epilogue);
  }
};

/// Of a backend, or of one algorithm.
template <class Candidate>
bool supports(const Candidate& candidate, const ConvShape& shape, Kind kind, DType dtype) {
  const Conv2DParams p = shape.params();
  return candidate.supports(
      {.kind = kind, .dtype = dtype, .conv = &p, .x = shape.x_shape(), .w = shape.w_shape(), .y = shape.y_shape()});
}

/// Most products that are summed into one element of the result.
inline std::int64_t reduction_length(const ConvShape& s, Kind kind) {
  if (kind == Kind::conv2d_transpose) return s.cin / s.groups * s.kh * s.kw;
  if (kind == Kind::conv2d) return s.cout / s.groups * s.kh * s.kw;
  return s.n * s.h * s.w;
}

/// gamma_K = K u / (1 - K u) with u half the machine epsilon: a sum of K products, in any order, differs from the exact
/// one by at most gamma_K times the sum of the absolute products.
/// Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1.
inline double gamma(std::int64_t reduction, DType dtype) {
  const double u =
      (dtype == DType::float32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon()) / 2;
  const double ku = static_cast<double>(reduction) * u;
  return ku / (1 - ku);
}

/// Sums of one element take in products of its neighbours that cancel.
inline bool mixes_neighbours(const Algorithm& algorithm) {
  return algorithm.name().find("winograd") != std::string_view::npos;
}

/// Sums of whole numbers are exact while float32 holds them. F(4, r) has points that are not whole.
inline bool keeps_whole_numbers(const Algorithm& algorithm) { return algorithm.name() != "winograd_f4"; }

/// What rounding errors are relative to, element by element. For direct sums it is the sum of the absolute products.
/// Winograd's transforms mix the products of neighbouring elements: no element's terms add up to more than (7/2)^2
/// times what as many of the largest products would, or 11^2 times with m = 4. That is the largest sum of |A| |G| |B|
/// along an axis over the number of products there, see winograd_matrices.h.
inline Tensor magnitude_of(const Algorithm& candidate, const ConvOperands& in, Kind kind) {
  const Tensor magnitude =
      ConvOperands(in.shape, absolute(in.x), absolute(in.w), absolute(in.g)).run(backend("reference"), kind);
  if (!mixes_neighbours(candidate)) return magnitude;
  const auto largest = [](const Tensor& t) { return std::ranges::max(absolute(t).to_vector<double>()); };
  const double x = largest(in.x), w = largest(in.w), g = largest(in.g);
  const double product = kind == Kind::conv2d_transpose ? x * w : kind == Kind::conv2d ? g * w : x * g;
  const double growth = keeps_whole_numbers(candidate) ? 3.5 : 11;
  return full(magnitude.shape(), growth * growth * product * static_cast<double>(reduction_length(in.shape, kind)));
}

/// Checks |actual - expected| <= factor * magnitude, element by element. Reports the worst element on failure.
inline void check_within(const Tensor& actual, const Tensor& expected, const Tensor& magnitude, double factor) {
  REQUIRE(actual.shape() == expected.shape());
  const std::vector<double> a = actual.to_vector<double>(), e = expected.to_vector<double>(),
                            m = magnitude.to_vector<double>();
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double excess = std::abs(a[i] - e[i]) - factor * m[i];
    if (!(excess <= worst)) worst = excess, where = i;
  }
  if (worst > 0 || std::isnan(worst)) {
    INFO("element " << where << ": got " << a[where] << ", expected " << e[where] << ", bound " << factor * m[where]);
    CHECK(worst <= 0);
  } else {
    SUCCEED();
  }
}

/// True if shapes, dtypes and every bit of the values agree, whatever the order in memory.
inline bool identical(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const std::vector<double> values_a = a.to_vector<double>(), values_b = b.to_vector<double>();
  return values_a.empty() || std::memcmp(values_a.data(), values_b.data(), values_a.size() * sizeof(double)) == 0;
}

}  // namespace dygrad::testing
