#include <dygrad/core/kernels/channel_sums.h>

#include <cmath>
#include <limits>
#include <random>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {

// One channel, wide rows of several pixels with a rest, more channels than a tile, planes longer than a block.
const std::vector<Shape> kShapes{Shape(3, 1, 5, 7),   Shape(2, 3, 41, 37), Shape(5, 64, 4, 4), Shape(2, 600, 3, 3),
                                 Shape(2, 2, 70, 90), Shape(1, 5, 1, 1),   Shape(300, 7),      Shape(40, 1100)};

Tensor random_numbers(const Shape& shape, std::mt19937& engine, double offset) {
  std::vector<double> values(static_cast<std::size_t>(num_elements(shape)));
  for (double& value : values) value = offset + static_cast<double>(engine() % 4096) / 1024;
  return from_vector(values, shape);
}

struct Expected {
  std::vector<long double> sum, square, product;  // of x, (x - mean)^2, g (x - mean)
  std::vector<long double> of_g;
  Expected(const Tensor& x, const Tensor& g) {
    const std::int64_t channels = x.shape()[1], pixels = x.num_elements() / x.shape()[0] / channels;
    const auto count = static_cast<long double>(x.shape()[0] * pixels);
    const std::vector<double> values = x.to_vector<double>(), factors = g.to_vector<double>();
    const auto channel = [&](std::size_t i) {
      return static_cast<std::size_t>(static_cast<std::int64_t>(i) / pixels % channels);
    };
    for (auto* list : {&sum, &square, &product, &of_g}) list->assign(static_cast<std::size_t>(channels), 0);
    for (std::size_t i = 0; i < values.size(); ++i) sum[channel(i)] += values[i];
    for (std::size_t i = 0; i < values.size(); ++i) {
      const long double distance = values[i] - sum[channel(i)] / count;
      square[channel(i)] += distance * distance;
      product[channel(i)] += factors[i] * distance;
      of_g[channel(i)] += factors[i];
    }
    for (long double& each : sum) each /= count;
  }
};

/// Each number within `roundings` of the expected, relative to `size`.
void check_near(const Tensor& got, const std::vector<long double>& want, double size, double roundings, double eps) {
  const std::vector<double> values = got.to(float64).to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    worst = std::max(worst, std::abs(values[i] - static_cast<double>(want[i])));
  CHECK(worst <= roundings * eps * size);
}

}  // namespace

TEST_CASE("channel moments and products agree with a plain loop in both memory orders") {
  std::mt19937 engine(5);
  for (const Shape& shape : kShapes) {
    const Tensor x = random_numbers(shape, engine, -1), g = random_numbers(shape, engine, -2);
    const Expected expected(x, g);
    const double count = static_cast<double>(x.num_elements() / x.shape()[1]);
    for (const MemoryFormat format : {MemoryFormat::row_major, MemoryFormat::channels_last}) {
      if (format == MemoryFormat::channels_last && shape.rank() != 4) continue;
      for (const DType dtype : {float32, float64}) {
        INFO("shape " << shape << ", dtype " << name_of(dtype));
        const double eps = dtype == float32 ? std::numeric_limits<float>::epsilon() : 2.3e-16;
        const Tensor own = kernel::cast(kernel::clone(x, format), dtype),
                     factor = kernel::cast(kernel::clone(g, format), dtype);
        const auto [mean, squares] = kernel::channel_moments(own);
        REQUIRE(mean.shape() == Shape(shape[1]));
        // Leaves of up to 32 additions, then a tree of fewer than 20 levels; numbers are below 4, distances too.
        check_near(mean, expected.sum, 4, 64, eps);
        check_near(squares, expected.square, 16 * count, 64, eps);
        const auto [sums, products] = kernel::channel_products(factor, own, mean);
        check_near(sums, expected.of_g, 4 * count, 64, eps);
        check_near(products, expected.product, 16 * count, 128, eps);  // those of the mean come on top
      }
    }
  }
}

TEST_CASE("squared distances keep their digits far from zero") {
  // 64 copies of 1e4 + {0, 1, 2, 3}: a sum of squares in float32 would be 1e11 and lose all of them.
  const Tensor x = kernel::cast(*view::reshape(arange(0, 4 * 64 * 16, 1, float64), Shape(64, 2, 4, 8)), float32);
  Tensor shifted = kernel::clone(x);
  for (float& v : shifted.write<float>()) v = 1e4f + std::fmod(v, 4.f);
  for (const MemoryFormat format : {MemoryFormat::row_major, MemoryFormat::channels_last}) {
    const auto [mean, squares] = kernel::channel_moments(kernel::clone(shifted, format));
    for (std::int64_t c = 0; c < 2; ++c) {
      CHECK(mean.at({c}) == 10001.5);
      CHECK(squares.at({c}) == 1.25 * 64 * 32);
    }
  }
}

TEST_CASE("channel sums are the same bits for any number of threads") {
  std::mt19937 engine(6);
  const Tensor x = kernel::cast(random_numbers({8, 24, 40, 40}, engine, 1), float32);
  const int threads = num_threads();
  for (const MemoryFormat format : {MemoryFormat::row_major, MemoryFormat::channels_last}) {
    const Tensor own = kernel::clone(x, format);
    set_num_threads(1);
    const auto [mean, squares] = kernel::channel_moments(own);
    set_num_threads(3);
    const auto [mean_again, squares_again] = kernel::channel_moments(own);
    set_num_threads(threads);
    CHECK(mean_again.to_vector<float>() == mean.to_vector<float>());
    CHECK(squares_again.to_vector<float>() == squares.to_vector<float>());
  }
}

TEST_CASE("channels of no rows have no mean") {
  const auto [mean, squares] = kernel::channel_moments(zeros({0, 2, 3, 3}));
  CHECK(std::isnan(mean.at({1})));
  CHECK(squares.to_vector<float>() == std::vector<float>{0, 0});
  const Tensor nothing = zeros({2, 3, 0, 4});
  const auto [sums, products] = kernel::channel_products(nothing, nothing, zeros({3}));
  CHECK(sums.to_vector<float>() == std::vector<float>(3, 0));
  CHECK(products.to_vector<float>() == std::vector<float>(3, 0));
  CHECK(kernel::channel_moments(zeros({2, 0, 3, 3})).first.shape() == Shape(0));
}
