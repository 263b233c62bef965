#include <cmath>
#include <limits>
#include <random>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {

/// Sums of whole numbers are exact in any order, so a plain loop over elements is the answer itself.
struct Expected {
  Tensor sum, largest, smallest;

  Expected(const Tensor& x, const Axes& axes) {
    const Shape shape = kernel::reduced_shape(x.shape(), axes);
    sum = zeros(shape, float64);
    largest = full(shape, -1e9, float64);
    smallest = full(shape, 1e9, float64);
    const std::vector<double> values = x.to_vector<double>();
    for (std::size_t i = 0; i < values.size(); ++i) {
      auto rest = static_cast<std::int64_t>(i);
      std::int64_t at = 0;
      for (int d = x.rank() - 1; d >= 0; --d) {
        if (!axes.contains(d)) at += rest % x.dim(d) * sum.strides()[d];
        rest /= x.dim(d);
      }
      sum.mutable_data<double>()[at] += values[i];
      double& champion = largest.mutable_data<double>()[at];
      champion = std::max(champion, values[i]);
      double& least = smallest.mutable_data<double>()[at];
      least = std::min(least, values[i]);
    }
  }
};

Tensor whole_numbers(const Shape& shape, std::mt19937& engine) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(num_elements(shape)));
  for (auto& value : values) value = static_cast<std::int64_t>(engine() % 101) - 50;
  return kernel::cast(from_vector(values, shape), float64);
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.to_vector<double>() == b.to_vector<double>();
}

void check_all_axes(const Tensor& x) {
  for (int chosen = 0; chosen < 1 << x.rank(); ++chosen) {
    Axes axes;
    for (int d = 0; d < x.rank(); ++d) {
      if (chosen >> d & 1) axes.push_back(d);
    }
    INFO("shape " << to_string(x.shape()) << ", strides " << to_string(x.strides()) << ", axes " << to_string(axes));
    const Expected expected(x, axes);
    CHECK(same(kernel::reduce_sum(x, axes), expected.sum));
    CHECK(same(kernel::reduce_max(x, axes), expected.largest));
    CHECK(same(kernel::reduce_min(x, axes), expected.smallest));
  }
}

}  // namespace

TEST_CASE("columns of any number of rows are reduced, however many are taken at a time") {
  std::mt19937 engine(4);
  for (std::int64_t rows = 1; rows <= 40; ++rows) {
    const Tensor x = whole_numbers({rows, 1100}, engine);
    INFO(rows << " rows");
    const Expected expected(x, {0});
    CHECK(same(kernel::reduce_sum(x, {0}), expected.sum));
    CHECK(same(kernel::reduce_max(x, {0}), expected.largest));
    CHECK(same(kernel::cast(kernel::reduce_sum(kernel::cast(x, float32), {0}), float64), expected.sum));
    CHECK(same(kernel::cast(kernel::reduce_sum(kernel::cast(x, int64), {0}), float64), expected.sum));
  }
}

TEST_CASE("more short lines than are taken at a time are all reduced") {
  std::mt19937 engine(8);
  for (const Shape& shape : {Shape{9001, 5}, Shape{2, 4999, 7}, Shape{20000, 2}}) {
    const Tensor x = whole_numbers(shape, engine);
    const Axes last{x.rank() - 1};
    INFO(to_string(shape));
    const Expected expected(x, last);
    CHECK(same(kernel::reduce_sum(x, last), expected.sum));
    CHECK(same(kernel::reduce_max(x, last), expected.largest));
    CHECK(same(kernel::reduce_min(x, last), expected.smallest));
  }
}

TEST_CASE("reductions over every set of axes agree with a plain loop, for any strides") {
  std::mt19937 engine(1);
  for (const Shape& shape :
       {Shape(3, 5, 2, 4), Shape(2, 3, 20, 17), Shape(2, 1, 3, 130), Shape(1, 600, 2), Shape(700), Shape(40, 33)}) {
    const Tensor x = whole_numbers(shape, engine);
    check_all_axes(x);
    check_all_axes(view::transpose(x, 0, -1));
    check_all_axes(view::slice(x, -1, 1, 1000, 2));
    if (x.rank() == 4) check_all_axes(kernel::contiguous(x, MemoryFormat::channels_last));
    if (x.rank() < 3)
      check_all_axes(view::expand(view::select(x, 0, 0), x.rank() == 1 ? Shape(6) : Shape(6, x.dim(1))));
  }
}

TEST_CASE("long float32 sums keep their digits, because they are pairwise") {
  constexpr std::int64_t kCount = 10'000'000;
  const Tensor x = full({kCount}, 0.1, float32);
  const double exact = static_cast<double>(0.1f) * kCount;
  // Leaves of 2048 are 3 + 16 roundings deep, a tree of 13 levels over them, and 4 more for their lanes: under 40. A
  // running sum loses 1e6.
  CHECK(std::abs(kernel::reduce_sum(x, {0}).item() - exact) <= 40 * std::numeric_limits<float>::epsilon() / 2 * exact);
}

TEST_CASE("sums are the same bits for any number of threads") {
  std::mt19937 engine(3);
  std::vector<float> values(300'000);
  for (float& value : values) value = static_cast<float>(engine()) / 1e9f;
  const Tensor x = from_vector(values, {100, 3000});
  const int threads = num_threads();
  for (const Axes& axes : {Axes{0, 1}, Axes{0}, Axes{1}}) {
    set_num_threads(1);
    const std::vector<float> alone = kernel::reduce_sum(x, axes).to_vector<float>();
    set_num_threads(3);
    CHECK(kernel::reduce_sum(x, axes).to_vector<float>() == alone);
    set_num_threads(threads);
  }
}

TEST_CASE("sums of nothing are zero") {
  CHECK(same(kernel::reduce_sum(zeros({0, 2}), {0}), zeros({1, 2})));
  CHECK(kernel::reduce_sum(zeros({0, 2}), {1}).shape() == Shape(0, 1));
}

TEST_CASE("sums and extremes of every dtype, of NaN and of negative zero") {
  CHECK(kernel::reduce_sum(full({3, 700}, 1, boolean), {0, 1}).item<std::int64_t>() == 2100);
  CHECK(kernel::reduce_sum(full({3, 700}, 255, uint8), {1}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>(3, 255 * 700));
  CHECK(kernel::reduce_sum(full({5, 2}, -7, int64), {0}).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>(2, -35));
  CHECK(std::signbit(kernel::reduce_sum(full({40, 3}, -0.0), {0, 1}).item()));
  for (const Axes& axes : {Axes{0}, Axes{1}, Axes{0, 1}}) {
    for (std::int64_t place = 0; place < 60; place += 7) {
      Tensor x = zeros({3, 20});
      x.write<float>()[static_cast<std::size_t>(place)] = std::numeric_limits<float>::quiet_NaN();
      double found = 0;
      for (float v : kernel::reduce_max(x, axes).to_vector<float>()) found += std::isnan(v);
      for (float v : kernel::reduce_min(x, axes).to_vector<float>()) found += std::isnan(v);
      CHECK(found == 2);
    }
  }
  const Tensor depths = full({4, 33}, -std::numeric_limits<double>::infinity());
  CHECK(kernel::reduce_max(depths, {1}).at({0, 0}) == -std::numeric_limits<double>::infinity());
}
