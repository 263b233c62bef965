// Windows, strides and paddings far larger than the image: the work is what lies inside it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {

constexpr std::int64_t kMax = std::int64_t{1} << 31;

const Pool2DOptions kExtremeCases[] = {
    {.size = {100000, 100000}, .stride = {1000000, 1000000}, .padding = {50000, 50000}},
    {.size = {100000, 3}, .stride = {1000000, 2}, .padding = {50000, 1}},
    {.size = {3, 100000}, .stride = {2, 7}, .padding = {1, 50000}},
    {.size = {kMax, kMax}, .stride = {kMax, kMax}, .padding = {kMax - 1, kMax - 3}},
    {.size = {kMax, kMax}, .stride = {kMax, kMax}, .padding = {kMax - 2, 1 << 30}, .ceil_mode = true},
    {.size = {1, kMax}, .stride = {1, kMax - 2}, .padding = {0, kMax - 1}, .ceil_mode = true, .exclusive = false},
    {.size = {kMax, 2}, .stride = {3, 2}, .padding = {1 << 30, 0}},
};

struct Pools {
  std::vector<double> largest, mean, gradient_of_largest, gradient_of_mean;
};

/// By plain loops over the cells of the image, for cotangents of ones.
Pools loop_over_cells(const Tensor& x, const Shape& y, const Pool2DOptions& p) {
  const std::vector<double> values = x.to_vector<double>();
  Pools pools{{}, {}, std::vector<double>(values.size()), std::vector<double>(values.size())};
  const std::int64_t height = x.dim(2), width = x.dim(3);
  for (std::int64_t plane = 0; plane < y[0] * y[1]; ++plane) {
    for (std::int64_t oh = 0; oh < y[2]; ++oh) {
      for (std::int64_t ow = 0; ow < y[3]; ++ow) {
        const std::int64_t top = oh * p.stride.h - p.padding.h, left = ow * p.stride.w - p.padding.w;
        std::vector<std::size_t> cells;
        for (std::int64_t h = 0; h < height; ++h) {
          for (std::int64_t w = 0; w < width; ++w) {
            if (h >= top && h < top + p.size.h && w >= left && w < left + p.size.w)
              cells.push_back(static_cast<std::size_t>((plane * height + h) * width + w));
          }
        }
        const double rows = static_cast<double>(std::min(top + p.size.h, height + p.padding.h) - top);
        const double columns = static_cast<double>(std::min(left + p.size.w, width + p.padding.w) - left);
        const double count = p.exclusive ? static_cast<double>(cells.size()) : rows * columns;
        std::size_t best = cells.at(0);
        double sum = 0;
        for (const std::size_t cell : cells) {
          if (values[cell] > values[best]) best = cell;
          sum += values[cell];
          pools.gradient_of_mean[cell] += 1 / count;
        }
        pools.largest.push_back(values[best]);
        pools.mean.push_back(sum / count);
        pools.gradient_of_largest[best] += 1;
      }
    }
  }
  return pools;
}

void check_close(const Tensor& actual, const std::vector<double>& expected) {
  const std::vector<double> values = actual.to_vector<double>();
  REQUIRE(values.size() == expected.size());
  const double unit =
      actual.dtype() == DType::float32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
  // At most 20 cells of at most 7 are added, a few times each.
  for (std::size_t i = 0; i < values.size(); ++i) CHECK_THAT(values[i], WithinAbs(expected[i], 200 * 7 * unit));
}

}  // namespace

TEST_CASE("pools whose windows reach far beyond the image are right, and so are their derivatives") {
  std::vector<double> numbers(2 * 3 * 5 * 4);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i * 7 % 121) / 32 + 0.25;
  for (const Pool2DOptions& options : kExtremeCases) {
    for (const DType dtype : {DType::float32, DType::float64}) {
      for (const MemoryFormat format : {MemoryFormat::row_major, MemoryFormat::channels_last}) {
        Tensor x = kernel::contiguous(kernel::cast(from_vector(numbers, {2, 3, 5, 4}), dtype), format);
        x.set_stop_gradient(false);
        const Tensor largest = max_pool2d(x, options), mean = avg_pool2d(x, options);
        REQUIRE(largest.shape() == mean.shape());
        INFO("size " << options.size.h << " x " << options.size.w << ", y " << largest.dim(2) << " x "
                     << largest.dim(3));
        const Pools expected = loop_over_cells(x, largest.shape(), options);
        check_close(largest, expected.largest);
        check_close(mean, expected.mean);
        check_close(grad(largest.sum(), x), expected.gradient_of_largest);
        check_close(grad(mean.sum(), x), expected.gradient_of_mean);
      }
    }
    const Tensor x = from_vector(numbers, {2, 3, 5, 4});
    const auto squares = [&](const Tensor& y) { return y * y; };
    CHECK_THAT(
        check_grads([&](const Tensor& v) { return max_pool2d(squares(v), options); }, x, {.order = 2, .full = false}),
        GradsAgree());
    CHECK_THAT(
        check_grads([&](const Tensor& v) { return avg_pool2d(squares(v), options); }, x, {.order = 2, .full = false}),
        GradsAgree());
  }
}

TEST_CASE("a pool of no image takes no time for its windows") {
  const Tensor x = zeros({0, 4, 3, 3}).set_stop_gradient(false);
  for (const bool exclusive : {true, false}) {
    const Pool2DOptions options{
        .size = {kMax, kMax}, .stride = {2, 2}, .padding = {kMax - 1, kMax - 1}, .exclusive = exclusive};
    const std::int64_t windows = (3 + 2 * (kMax - 1) - kMax) / 2 + 1;
    CHECK(max_pool2d(x, options).shape() == Shape{0, 4, windows, windows});
    const Tensor mean = avg_pool2d(x, options);
    CHECK(mean.shape() == Shape{0, 4, windows, windows});
    sum(mean).backward();
    CHECK(x.grad().shape() == x.shape());
  }
}

}  // namespace dygrad::testing
