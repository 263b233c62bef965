#include <cmath>
#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/check_grads.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/autograd/ops/pool.h>
#include <dygrad/autograd/ops/reduce.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/random.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {
const Pool2DOptions kCases[] = {
    {.size = {2, 2}, .stride = {2, 2}},
    {.size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}},
    {.size = {3, 3}, .stride = {2, 3}, .padding = {2, 0}, .ceil_mode = true},
    {.size = {2, 3}, .stride = {3, 2}, .padding = {1, 2}, .ceil_mode = true, .exclusive = false},
    {.size = {1, 1}, .stride = {2, 2}},
};

// Distinct values, so that no window has a tie: 0, 7, 14, ... modulo a prime larger than their number.
Tensor distinct(const Shape& shape) {
  Tensor x = Tensor::empty(shape, DType::float64);
  std::int64_t i = 0;
  for (double& v : x.write<double>()) v = static_cast<double>(i++ * 7 % 211) / 32;
  return x;
}
}  // namespace

TEST_CASE("Pools of a 3 x 3 image, by hand") {
  const Tensor x = tensor({{{{1., 2., 3.}, {4., 5., 6.}, {7., 8., 9.}}}});
  CHECK(max_pool2d(x, {}).to_vector<float>() == std::vector<float>{5, 6, 8, 9});
  CHECK(avg_pool2d(x, {}).to_vector<float>() == std::vector<float>{3, 4, 6, 7});
  const Pool2DOptions padded{.size = {2, 2}, .stride = {2, 2}, .padding = {1, 1}};
  CHECK(max_pool2d(x, padded).to_vector<float>() == std::vector<float>{1, 3, 7, 9});
  CHECK(avg_pool2d(x, padded).to_vector<float>() == std::vector<float>{1, 2.5, 5.5, 7});
  Pool2DOptions inclusive = padded;
  inclusive.exclusive = false;
  CHECK(avg_pool2d(x, inclusive).to_vector<float>() == std::vector<float>{0.25, 1.25, 2.75, 7});
}

TEST_CASE("ceil_mode adds a partial window, but none in padding only") {
  const auto extent = [](std::int64_t image, Pool2DOptions options) {
    options.ceil_mode = true;
    return max_pool2d(ones({1, 1, image, image}), options).shape()[2];
  };
  CHECK(extent(5, {.size = {2, 2}, .stride = {2, 2}}) == 3);
  CHECK(extent(4, {.size = {2, 2}, .stride = {2, 2}}) == 2);
  CHECK(extent(4, {.size = {3, 3}, .stride = {4, 4}, .padding = {1, 1}}) == 2);
  CHECK(extent(3, {.size = {2, 2}, .stride = {3, 3}, .padding = {1, 1}}) == 2);
  CHECK(extent(2, {.size = {2, 2}, .stride = {3, 3}, .padding = {1, 1}}) == 1);
}

TEST_CASE("Pools differentiate to second order") {
  const Tensor x = distinct({2, 2, 5, 4});
  for (const Pool2DOptions& options : kCases) {
    const auto check = [&](const std::function<Tensor(const Tensor&)>& f) {
      const auto report = check_grads(f, x, {.order = 2, .full = false});
      INFO(report.text);
      CHECK(report.ok);
    };
    check([&](const Tensor& t) { return max_pool2d(t * t, options); });
    check([&](const Tensor& t) { return avg_pool2d(t * t, options); });
  }
}

TEST_CASE("Pools of channels-last images agree with row-major ones and stay channels-last") {
  const Tensor x = distinct({2, 3, 5, 4});
  for (const Pool2DOptions& options : kCases) {
    for (Tensor (*pool)(const Tensor&, const Pool2DOptions&) : {max_pool2d, avg_pool2d}) {
      Tensor a = raw::clone(x).set_stop_gradient(false);
      Tensor b = raw::clone(x, MemoryFormat::channels_last).set_stop_gradient(false);
      const Tensor y = pool(a, options);
      const Tensor z = pool(b, options);
      CHECK(z.is_contiguous(MemoryFormat::channels_last));
      CHECK(y.to_vector<double>() == z.to_vector<double>());
      const Tensor g = distinct(y.shape());
      y.backward(g);
      z.backward(g);
      CHECK(a.grad().to_vector<double>() == b.grad().to_vector<double>());
    }
  }
}

TEST_CASE("Among equal values the first maximum gets the gradient, and NaN wins") {
  Tensor x = ones({1, 1, 2, 2}).set_stop_gradient(false);
  max_pool2d(x, {}).backward(ones({1, 1, 1, 1}));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 0, 0, 0});
  const Tensor y = tensor({{{{1., std::nan("")}, {5., 2.}}}});
  CHECK(std::isnan(max_pool2d(y, {}).item()));
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(max_pool2d(full({1, 1, 2, 2}, -infinity), {.size = {2, 2}, .padding = {1, 1}}).to_vector<double>() ==
        std::vector<double>(9, -infinity));
}

TEST_CASE("Pools of an empty batch are empty") {
  CHECK(max_pool2d(ones({0, 3, 4, 4}), {}).shape() == Shape(0, 3, 3, 3));
  CHECK(avg_pool2d(ones({0, 3, 4, 4}), {}).shape() == Shape(0, 3, 3, 3));
}

TEST_CASE("Pools refuse images and windows that do not fit") {
  const Tensor x = ones({1, 1, 3, 3});
  CHECK_THROWS_MATCHES(max_pool2d(ones({3, 3}), {}), ShapeError, Says("max_pool2d", "[N, C, H, W]", "rank 2"));
  CHECK_THROWS_MATCHES(avg_pool2d(x, {.size = {4, 4}}), ShapeError, Says("avg_pool2d", "4 x 4", "along H"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.size = {0, 1}}), InvalidArgument, Says("size", "0 x 1"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.stride = {1, 0}}), InvalidArgument, Says("stride", "1 x 0"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.padding = {2, 0}}), InvalidArgument, Says("padding < size", "2 x 0"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.padding = {-1, 0}}), InvalidArgument, Says("padding", "-1 x 0"));
}

}  // namespace dygrad::testing
