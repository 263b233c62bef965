#include <cmath>
#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {
const Pool2DOptions kCases[] = {
    {.size = {2, 2}, .stride = {2, 2}},
    {.size = {3, 2}, .stride = {2, 1}, .padding = {1, 1}},
    {.size = {3, 3}, .stride = {2, 3}, .padding = {2, 0}, .ceil_mode = true},
    {.size = {2, 3}, .stride = {3, 2}, .padding = {1, 2}, .ceil_mode = true, .exclusive = false},
    {.size = {1, 1}, .stride = {2, 2}},
    {.size = {6, 7}, .stride = {2, 4}, .ceil_mode = true},
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

TEST_CASE("one number in a pool's options is meant for height and width") {
  const Tensor x = distinct({1, 1, 5, 5});
  const Pool2DOptions both{.size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}},
      one{.size = 3, .stride = 2, .padding = 1};
  CHECK(max_pool2d(x, one).to_vector<double>() == max_pool2d(x, both).to_vector<double>());
  CHECK(avg_pool2d(x, one).to_vector<double>() == avg_pool2d(x, both).to_vector<double>());
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

TEST_CASE("ceil_mode takes a window that exceeds the padded image by less than a stride") {
  // ceil((H + 2 * padding - size) / stride) + 1 is 1 while the numerator is above -stride.
  const Tensor x = tensor({{{{1., 2., 3.}, {4., 5., 6.}, {7., 8., 9.}}}});
  const Pool2DOptions options{.size = {4, 5}, .stride = {2, 3}, .ceil_mode = true};
  CHECK(max_pool2d(x, options).shape() == Shape{1, 1, 1, 1});
  CHECK(max_pool2d(x, options).item() == 9);
  CHECK(avg_pool2d(x, options).item() == 5);
  Pool2DOptions padded{.size = {7, 7}, .stride = {3, 3}, .padding = {1, 1}, .ceil_mode = true, .exclusive = false};
  CHECK(max_pool2d(x, padded).item() == 9);
  CHECK(avg_pool2d(x, padded).item<float>() == 45.F / 25);  // the image is 5 x 5 with its padding

  const auto refuses = [&](Pool2DOptions o) {
    CHECK_THROWS_MATCHES(max_pool2d(x, o), ShapeError, MessageContains("larger than the padded image"));
    CHECK_THROWS_AS(avg_pool2d(x, o), ShapeError);
  };
  refuses({.size = 5, .stride = 2, .ceil_mode = true});
  refuses({.size = 4, .stride = 1, .ceil_mode = true});
  refuses({.size = 4, .stride = 2});
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
      Tensor a = kernel::clone(x).set_stop_gradient(false);
      Tensor b = kernel::clone(x, MemoryFormat::channels_last).set_stop_gradient(false);
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

TEST_CASE("Among equal values the first maximum gets the gradient, and NaN propagates") {
  Tensor x = ones({1, 1, 2, 2}).set_stop_gradient(false);
  max_pool2d(x, {}).backward(ones({1, 1, 1, 1}));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 0, 0, 0});
  const Tensor y = tensor({{{{1., std::nan("")}, {5., 2.}}}});
  CHECK(std::isnan(max_pool2d(y, {}).item()));
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(max_pool2d(full({1, 1, 2, 2}, -infinity), {.size = {2, 2}, .padding = {1, 1}}).to_vector<double>() ==
        std::vector<double>(9, -infinity));
  // Where all of a window is -infinity, its first cell inside the image gets the gradient, padding before it or not.
  Tensor z = full({1, 1, 2, 2}, -infinity).set_stop_gradient(false);
  max_pool2d(z, {.size = 2, .padding = 1}).backward(ones({1, 1, 3, 3}));
  CHECK(z.grad().to_vector<double>() == std::vector<double>{4, 2, 2, 1});
}

TEST_CASE("Pools of an empty batch are empty") {
  CHECK(max_pool2d(ones({0, 3, 4, 4}), {}).shape() == Shape(0, 3, 3, 3));
  CHECK(avg_pool2d(ones({0, 3, 4, 4}), {}).shape() == Shape(0, 3, 3, 3));
}

TEST_CASE("Pools refuse images and windows that do not fit") {
  const Tensor x = ones({1, 1, 3, 3});
  CHECK_THROWS_MATCHES(max_pool2d(ones({3, 3}), {}), ShapeError,
                       MessageContains("max_pool2d", "[N, C, H, W]", "rank 2"));
  CHECK_THROWS_MATCHES(avg_pool2d(x, {.size = {4, 4}}), ShapeError, MessageContains("avg_pool2d", "4 x 4", "along H"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.size = {0, 1}}), InvalidArgument, MessageContains("size", "0 x 1"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.stride = {1, 0}}), InvalidArgument, MessageContains("stride", "1 x 0"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.padding = {2, 0}}), InvalidArgument, MessageContains("padding < size", "2 x 0"));
  CHECK_THROWS_MATCHES(max_pool2d(x, {.padding = {-1, 0}}), InvalidArgument, MessageContains("padding", "-1 x 0"));
  for (const DType dtype : {int64, boolean}) {
    CHECK_THROWS_AS(max_pool2d(zeros({1, 1, 3, 3}, dtype), {}), DtypeError);
    CHECK_THROWS_MATCHES(avg_pool2d(zeros({0, 1, 3, 3}, dtype), {}), DtypeError, MessageContains("avg_pool2d", "fix"));
  }
}

}  // namespace dygrad::testing

namespace dygrad::testing {

TEST_CASE("Large windows have the means and derivatives of sums over their cells") {
  struct Case {
    Shape shape;
    Pool2DOptions options;
  };
  const Case cases[] = {
      {{2, 3, 9, 10}, {.size = {9, 10}}},
      {{2, 3, 13, 12}, {.size = {9, 10}, .stride = {2, 1}}},
      {{1, 2, 13, 12}, {.size = {12, 11}, .padding = {3, 5}, .ceil_mode = true}},
      {{1, 2, 13, 12}, {.size = {12, 11}, .stride = {2, 3}, .padding = {3, 5}, .exclusive = false}},
      {{1, 1, 2, 700}, {.size = {1, 100}}},  // many, short sums: by whole tensors
      {{1, 1, 600, 3}, {.size = {70, 1}, .stride = {2, 1}, .padding = {5, 0}}},
      {{1, 1, 3, 400}, {.size = {2, 65}, .stride = {1, 1}, .padding = {1, 0}}},
  };
  for (const Case& each : cases) {
    const Shape& shape = each.shape;
    const Pool2DOptions& options = each.options;
    for (const MemoryFormat format : {MemoryFormat::row_major, MemoryFormat::channels_last}) {
      const Tensor values = distinct(shape);
      Tensor x = kernel::clone(values, format);
      x.set_stop_gradient(false);
      const Tensor y = avg_pool2d(x, options);
      const Tensor g = distinct(y.shape()) - 2.;
      y.backward(g);
      const std::vector<double> in = values.to_vector<double>(), out = y.to_vector<double>(),
                                gs = g.to_vector<double>();
      std::vector<double> grads(in.size());
      const std::int64_t h = shape[2], w = shape[3], oh = y.shape()[2], ow = y.shape()[3];
      double worst = 0;
      for (std::int64_t i = 0; i < y.num_elements(); ++i) {
        const std::int64_t plane = i / (oh * ow), top = i / ow % oh * options.stride.h - options.padding.h,
                           left = i % ow * options.stride.w - options.padding.w;
        double sum = 0, cells = 0;
        const auto for_each_cell = [&](const auto& f) {
          for (std::int64_t r = std::max<std::int64_t>(top, 0); r < std::min(top + options.size.h, h); ++r)
            for (std::int64_t c = std::max<std::int64_t>(left, 0); c < std::min(left + options.size.w, w); ++c)
              f(static_cast<std::size_t>((plane * h + r) * w + c));
        };
        for_each_cell([&](std::size_t at) { sum += in[at], cells += 1; });
        if (!options.exclusive)
          cells = static_cast<double>((std::min(top + options.size.h, h + options.padding.h) - top) *
                                      (std::min(left + options.size.w, w + options.padding.w) - left));
        const auto place = static_cast<std::size_t>(i);
        worst = std::max(worst, std::abs(out[place] - sum / cells));
        for_each_cell([&](std::size_t at) { grads[at] += gs[place] / cells; });
      }
      // Values up to 7, sums of at most 144 of them in another order; gradients of at most as many shares below 8.
      CHECK(worst <= 144 * 7 * std::numeric_limits<double>::epsilon());
      const std::vector<double> got = x.grad().to_vector<double>();
      for (std::size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(got[i] - grads[i]));
      CHECK(worst <= 144 * 8 * std::numeric_limits<double>::epsilon());
      CHECK(x.grad().is_contiguous(format));
    }
  }
  const auto report = check_grads(
      [](const Tensor& t) {
        return avg_pool2d(t * t, {.size = {7, 10}, .padding = {2, 1}});
      },
      distinct({1, 1, 8, 11}), {.order = 2, .full = false});
  INFO(report.text);
  CHECK(report.ok);
}

TEST_CASE("pools name the operand that is undefined") {
  CHECK_THROWS_MATCHES(max_pool2d(Tensor(), {}), InvalidArgument, MessageContains("max_pool2d: x was used before"));
  CHECK_THROWS_MATCHES(avg_pool2d(Tensor(), {}), InvalidArgument, MessageContains("avg_pool2d: x was used before"));
}

}  // namespace dygrad::testing
