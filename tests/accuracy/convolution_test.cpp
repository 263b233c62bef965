// The error of every algorithm of convolution on normally distributed numbers, against sums in long double. With
// DYGRAD_PRINT_ACCURACY=1 prints the rows of the table in docs/accuracy.md.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>

#include <dygrad/tests/backends/conv_support.h>

namespace dygrad::testing {

namespace {

constexpr ConvShape kLayer{"layer", 2, 64, 12, 12, 32, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0};
constexpr ConvShape kOfOneChannel{"depthwise", 2, 64, 12, 12, 64, 4, 4, 2, 2, 1, 1, 1, 1, 64, 0, 0};

Tensor normal_values(const Shape& shape, DType dtype, std::uint32_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> distribution;
  std::vector<double> values(static_cast<std::size_t>(num_elements(shape)));
  for (double& value : values) value = distribution(engine);
  return kernel::cast(from_vector(values, shape), dtype);
}

struct ExactSums {
  std::vector<long double> sums;
  std::vector<double> magnitudes;  ///< sums of the absolute products
};

/// Plain sums, term by term.
ExactSums exact_sums(const ConvOperands& in, Kind kind) {
  const ConvShape& s = in.shape;
  const std::vector<double> x = in.x.to_vector<double>(), w = in.w.to_vector<double>(), g = in.g.to_vector<double>();
  const std::int64_t og = s.cout / s.groups, cg = s.cin / s.groups, oh = s.oh(), ow = s.ow();
  const std::size_t size = kind == Kind::conv2d_transpose ? g.size() : kind == Kind::conv2d ? x.size() : w.size();
  ExactSums exact{std::vector<long double>(size), std::vector<double>(size)};
  const auto add = [&](std::size_t to, double a, double b) {
    exact.sums[to] += static_cast<long double>(a) * static_cast<long double>(b);
    exact.magnitudes[to] += std::abs(a * b);
  };
  for (std::int64_t n = 0; n < s.n; ++n) {
    for (std::int64_t c = 0; c < s.cin; ++c) {
      for (std::int64_t o = 0; o < og; ++o) {
        for (std::int64_t tap = 0; tap < s.kh * s.kw; ++tap) {
          for (std::int64_t pixel = 0; pixel < s.h * s.w; ++pixel) {
            const std::int64_t row = pixel / s.w * s.sh + tap / s.kw * s.dh - s.ph;
            const std::int64_t column = pixel % s.w * s.sw + tap % s.kw * s.dw - s.pw;
            if (row < 0 || row >= oh || column < 0 || column >= ow) continue;
            const auto in_x = static_cast<std::size_t>((n * s.cin + c) * s.h * s.w + pixel);
            const auto in_w = static_cast<std::size_t>((c * og + o) * s.kh * s.kw + tap);
            const auto in_y = static_cast<std::size_t>(((n * s.cout + c / cg * og + o) * oh + row) * ow + column);
            if (kind == Kind::conv2d_transpose) add(in_y, x[in_x], w[in_w]);
            else if (kind == Kind::conv2d) add(in_x, g[in_y], w[in_w]);
            else add(in_w, x[in_x], g[in_y]);
          }
        }
      }
    }
  }
  return exact;
}

/// In units of half the machine epsilon, or of bfloat16's.
struct Errors {
  double root_mean_square = 0;  ///< of the error, over that of the result
  double largest = 0;           ///< over the sum of the absolute products
};
Errors errors_of(const Tensor& result, const ExactSums& exact, double unit) {
  const std::vector<double> got = result.to_vector<double>();
  long double errors = 0, sums = 0;
  Errors found;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const long double error = static_cast<long double>(got[i]) - exact.sums[i];
    errors += error * error, sums += exact.sums[i] * exact.sums[i];
    if (exact.magnitudes[i] > 0)
      found.largest = std::max(found.largest, static_cast<double>(std::abs(error)) / exact.magnitudes[i] / unit);
  }
  found.root_mean_square = static_cast<double>(std::sqrt(errors / sums)) / unit;
  return found;
}

/// Of a mean square sum of products: each addition rounds by at most half a unit of a partial sum, which is no larger
/// than the result on average. winograd_f2 loses two bits, winograd_f4 three; see docs/design/winograd.md.
double most_units(const Algorithm& algorithm, std::int64_t reduction) {
  const double plain = 2 * std::sqrt(static_cast<double>(reduction));
  return algorithm.name() == "winograd_f4" ? 8 * plain : mixes_neighbours(algorithm) ? 4 * plain : plain;
}

}  // namespace

TEST_CASE("algorithms of convolution err by no more than rounding of their sums on normal data") {
  const bool print = std::getenv("DYGRAD_PRINT_ACCURACY") != nullptr;
  for (const ConvShape& shape : {kLayer, kOfOneChannel}) {
    for (const DType dtype : {float32, float64}) {
      const ConvOperands in(shape, dtype, normal_values);
      for (const Kind kind : kDirections) {
        const ExactSums exact = exact_sums(in, kind);
        for (const auto& backend : all_backends()) {
          for (const Algorithm* algorithm : backend->algorithms()) {
            if (!supports(*algorithm, shape, kind, dtype)) continue;
            const double unit = gamma(1, dtype);
            const Errors errors = errors_of(in.run(*algorithm, kind), exact, unit);
            INFO(backend->name() << ":" << algorithm->name() << ", " << shape << ", " << name_of(kind) << ", "
                                 << name_of(dtype));
            CHECK(errors.root_mean_square <= most_units(*algorithm, reduction_length(shape, kind)));
            if (!print) continue;
            std::cout << "| " << shape << " | " << name_of(dtype) << " | " << name_of(kind) << " | " << backend->name()
                      << ":" << algorithm->name() << " | " << errors.root_mean_square << " | " << errors.largest
                      << " |\n";
          }
        }
      }
    }
  }
}

}  // namespace dygrad::testing
