// Sums of 2^25 equal values, whose error must not grow with their number as that of one chain of additions does.
#include <algorithm>
#include <cmath>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/dtype.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr std::int64_t kMany = std::int64_t{1} << 25;

/// 0.1 as the dtype has it.
long double tenth(DType dtype) {
  return dtype == float32 ? static_cast<long double>(0.1F) : static_cast<long double>(0.1);
}

/// Distance from `wanted`, in roundings (half units in the last place) of it.
double roundings(const Tensor& got, long double wanted) {
  const double unit = (got.dtype() == float32 ? kEpsilon32 : kEpsilon64) / 2;
  double worst = 0;
  for (const double v : got.to_vector<double>())
    worst = std::max(worst,
                     static_cast<double>(std::fabs(static_cast<long double>(v) - wanted) / std::fabs(wanted)) / unit);
  return worst;
}

/// A chain of 64 additions, then pairs of sums, and the division of a mean.
constexpr double kPairwise = 64 + 25 + 2;
/// The result's own rounding, and that of the compensated sum.
constexpr double kOnce = 2;

}  // namespace

TEMPLATE_TEST_CASE("sums and means of 2^25 equal values keep their digits", "[slow]", float, double) {
  const DType dtype = dtype_of<TestType>();
  const Tensor x = full({kMany}, 0.1, dtype);
  const long double total = kMany * tenth(dtype);
  CHECK(roundings(sum(x), total) <= kPairwise);
  CHECK(roundings(mean(x), tenth(dtype)) <= kPairwise);
  CHECK(roundings(sum_to(reshape(x, {kMany / 4, 4}), {4}), total / 4) <= kPairwise);
  CHECK(roundings(softmax(x, 0), 1.0L / kMany) <= kPairwise);
  CHECK(roundings(softmax(reshape(x, {kMany / 4, 4}), 0), 4.0L / kMany) <= kPairwise);
  Tensor spread = full({1}, 1, dtype);
  spread.set_stop_gradient(false);
  expand(spread, {kMany}).backward(x);
  CHECK(roundings(spread.grad(), total) <= kPairwise);
}

TEMPLATE_TEST_CASE("average pools of 2^25 equal values keep their digits", "[slow]", float, double) {
  const DType dtype = dtype_of<TestType>();
  for (const Shape& image : {Shape{1, 1, 8192, 4096}, {1, 1, 1, kMany}, {1, 4, 2048, 4096}}) {
    const std::int64_t h = image[2], w = image[3];
    const Tensor x = full(image, 0.1, dtype);
    CHECK(roundings(avg_pool2d(x, {.size = {h, w}}), tenth(dtype)) <= kPairwise);
    // Several windows, the last ones cut off by the border.
    const Pool2DOptions most{.size = {h, w - 1}, .stride = {1, 1}};
    CHECK(roundings(avg_pool2d(x, most), tenth(dtype)) <= kPairwise + 64);
  }
  const Tensor x = kernel::clone(full({1, 8, 2048, 2048}, 0.1, dtype), MemoryFormat::channels_last);
  CHECK(roundings(avg_pool2d(x, {.size = {2048, 2048}}), tenth(dtype)) <= kPairwise);
  CHECK(roundings(avg_pool2d(x, {.size = {2000, 2000}, .stride = {40, 40}}), tenth(dtype)) <= kPairwise + 64);
}

TEMPLATE_TEST_CASE("gradients of pools whose windows overlap thousands of times keep their digits", "[slow]", float,
                   double) {
  const DType dtype = dtype_of<TestType>();
  constexpr std::int64_t kWidth = 8192;
  const Tensor g = full({1, 1, 1, kWidth}, 0.1, dtype);
  Tensor x = zeros({1, 1, 1, 2 * kWidth - 1}, dtype);
  x.write<TestType>()[kWidth - 1] = 1;  // in every window
  x.set_stop_gradient(false);
  const Pool2DOptions options{.size = {1, kWidth}};
  max_pool2d(x, options).backward(g);
  CHECK(roundings(slice(x.grad(), 3, kWidth - 1, kWidth), kWidth * tenth(dtype)) <= kOnce);
  x.clear_gradient();
  avg_pool2d(x, options).backward(g);
  CHECK(roundings(slice(x.grad(), 3, kWidth - 1, kWidth), tenth(dtype)) <= kPairwise + 128);
}

TEMPLATE_TEST_CASE("sums over 2^25 equal indices keep their digits", "[slow]", float, double) {
  const DType dtype = dtype_of<TestType>();
  const Tensor index = zeros({kMany}, int64), source = full({kMany}, 0.1, dtype);
  const long double total = kMany * tenth(dtype);
  CHECK(roundings(slice(index_add(source, 0, index, 2), 0, 0, 1), total) <= kOnce);
  CHECK(roundings(slice(scatter_add(source, 0, index, 2), 0, 0, 1), total) <= kOnce);
  Tensor x = full({2}, 1, dtype);
  x.set_stop_gradient(false);
  index_select(x, 0, index).backward(source);
  CHECK(roundings(slice(x.grad(), 0, 0, 1), total) <= kOnce);
  x.clear_gradient();
  gather(x, 0, index).backward(source);
  CHECK(roundings(slice(x.grad(), 0, 0, 1), total) <= kOnce);
  const Tensor rows = reshape(source, {kMany / 8, 8}), places = zeros({kMany / 8}, int64);
  CHECK(roundings(slice(index_add(rows, 0, places, 3), 0, 0, 1), total / 8) <= kOnce);
  CHECK(roundings(slice(scatter_add(rows, 0, zeros({kMany / 8, 8}, int64), 3), 0, 0, 1), total / 8) <= kOnce);
}

TEST_CASE("long sums over indices meet infinities and NaN as plain ones do, and mix with short ones") {
  std::vector<double> values(200, 0.5);
  std::vector<std::int64_t> places(200, 0);
  for (std::size_t i = 0; i < 200; ++i) places[i] = i % 10 == 0 ? 1 : i % 10 == 1 ? 2 : 0;
  values[50] = kInfinity;
  const auto added = [&](DType dtype) { return index_add(from_vector(values).to(dtype), 0, from_vector(places), 4); };
  const auto scattered = [&](DType dtype) {
    return scatter_add(from_vector(values).to(dtype), 0, from_vector(places), 4);
  };
  for (const DType dtype : {float32, float64}) {
    CHECK(same(added(dtype), tensor({80., kInfinity, 10., 0.}, dtype)));
    CHECK(same(scattered(dtype), tensor({80., kInfinity, 10., 0.}, dtype)));
  }
  values[3] = kInfinity;  // among the 160 of place 0
  CHECK(same(added(float64), tensor({kInfinity, kInfinity, 10., 0.}, float64)));
  values[5] = -kInfinity;
  CHECK(same(scattered(float64), tensor({kNaN, kInfinity, 10., 0.}, float64)));
}

TEST_CASE("ops on indices return at once where there is nothing, however large the other extents") {
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  CHECK(index_select(zeros({kHuge, 1, 0}), 1, zeros({1}, int64)).shape() == Shape(kHuge, 1, 0));
  CHECK(index_add(zeros({kHuge, 1, 0}), 1, zeros({1}, int64), 7).shape() == Shape(kHuge, 7, 0));
  CHECK(gather(zeros({kHuge, 1, 0}), 1, zeros({kHuge, 1, 0}, int64)).shape() == Shape(kHuge, 1, 0));
  CHECK(scatter_add(zeros({kHuge, 1, 0}), 1, zeros({kHuge, 1, 0}, int64), 5).shape() == Shape(kHuge, 5, 0));
}
