#include <dygrad/core/kernels/copy.h>

#include <dygrad/core/base/detail/convert.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

#include <cmath>
#include <limits>

using namespace dygrad;

TEST_CASE("floats become integers by truncation, saturation, and zero for nan") {
  using kernel::convert;
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  CHECK(convert<std::int64_t>(-1.9) == -1);
  CHECK(convert<std::int64_t>(1e19) == kMax);
  CHECK(convert<std::int64_t>(-1e19F) == kMin);
  CHECK(convert<std::int64_t>(0x1p63) == kMax);
  CHECK(convert<std::int64_t>(-0x1p63) == kMin);
  CHECK(convert<std::int64_t>(HUGE_VAL) == kMax);
  CHECK(convert<std::int64_t>(std::nan("")) == 0);
  CHECK(convert<std::uint8_t>(-0.5F) == 0);
  CHECK(convert<std::uint8_t>(-7.) == 0);
  CHECK(convert<std::uint8_t>(255.9F) == 255);
  CHECK(convert<std::uint8_t>(256.) == 255);
  CHECK(convert<bool>(std::nan("")));
  CHECK_FALSE(convert<bool>(-0.));
}

TEST_CASE("cast converts between every pair of dtypes") {
  for (DType from : {float32, float64, int64, uint8, boolean}) {
    for (DType to : {float32, float64, int64, uint8, boolean}) {
      const Tensor y = kernel::cast(tensor({0, 1, 1, 0}, from), to);
      CHECK(y.dtype() == to);
      CHECK(y.to_vector<double>() == std::vector<double>{0, 1, 1, 0});
    }
  }
  const Tensor x = ones({2});
  CHECK(kernel::cast(x, float32).is_same(x));
}

TEST_CASE("contiguous returns the tensor itself, or counts a copy") {
  const Tensor x = tensor({{1., 2.}, {3., 4.}});
  CHECK(kernel::contiguous(x).is_same(x));
  const auto before = kernel::layout_conversions();
  const Tensor y = kernel::contiguous(view::transpose(x, 0, 1));
  CHECK(kernel::layout_conversions() == before + 1);
  CHECK(y.read<float>()[1] == 3);
}

TEST_CASE("clone keeps a dense order and its values") {
  const Tensor x = uniform({2, 3, 4, 5}, 0, 1);
  const Tensor last = kernel::clone(x, MemoryFormat::channels_last);
  CHECK(last.is_contiguous(MemoryFormat::channels_last));
  CHECK(last.to_vector<float>() == x.to_vector<float>());
  CHECK(kernel::clone(last).strides() == last.strides());
  CHECK_FALSE(kernel::clone(x).is_same(x));
}

TEST_CASE("an expanded tensor is cloned to full size") {
  const Tensor x = view::expand(tensor({{1.}, {2.}}), {2, 3});
  const Tensor y = kernel::clone(x);
  CHECK(y.is_contiguous());
  CHECK(y.to_vector<float>() == std::vector<float>{1, 1, 1, 2, 2, 2});
}

TEST_CASE("copies between views of one memory are as if through a third") {
  for (const std::int64_t n : {5, 400}) {  // more than a tile, too
    CAPTURE(n);
    const auto numbers = [n] { return view::strided(arange(n * n, float64), {n, n}, {n, 1}, 0); };
    const auto check = [](const Tensor& to, const Tensor& from) {
      const std::vector<double> expected = from.to_vector<double>();
      CHECK(kernel::overlaps(from, to));
      Tensor(to).set_value(from);
      CHECK(to.to_vector<double>() == expected);
    };
    Tensor x = numbers();
    check(view::slice(x, 0, 1, n), view::slice(x, 0, 0, n - 1));
    x = numbers();
    check(view::slice(x, 1, 0, n - 1), view::slice(x, 1, 1, n));
    x = numbers();
    check(x, view::transpose(x, 0, 1));
    x = numbers();
    check(x, view::strided(x, {n, n}, {-n, -1}, n * n - 1));  // back to front
    x = numbers();
    check(x, view::expand(view::slice(x, 0, 1, 2), {n, n}));
  }
}

TEST_CASE("views that lie apart, or element for element in one place, are copied as they are") {
  const Tensor x = arange(12, float64), y = view::strided(x, {3, 4}, {4, 1}, 0);
  CHECK_FALSE(kernel::overlaps(y, y));
  CHECK_FALSE(kernel::overlaps(view::slice(y, 0, 0, 1), view::slice(y, 0, 1, 2)));
  CHECK_FALSE(kernel::overlaps(view::strided(y, {1, 12}, {99, 1}, 0), view::strided(y, {1, 12}, {-7, 1}, 0)));
  CHECK_FALSE(kernel::overlaps(view::slice(y, 0, 1, 1), y));  // nothing
  std::vector<double> memory{1, 2, 3, 4};                     // the same bytes through two storages
  Tensor a = from_memory(memory.data(), {3}, float64), b = from_memory(memory.data() + 1, {3}, float64);
  b.set_value(a);
  CHECK(memory == std::vector<double>{1, 1, 2, 3});
}

TEST_CASE("a view whose elements share a place cannot take values for each") {
  const Tensor x = arange(12, float64);
  CHECK(kernel::has_shared_elements(view::expand(view::slice(x, 0, 0, 1), {3})));
  CHECK(kernel::has_shared_elements(view::strided(x, {5, 3}, {1, 1}, 0)));
  CHECK_FALSE(kernel::has_shared_elements(view::strided(x, {2, 3}, {3, 2}, 0)));  // 0 2 4, 3 5 7
  CHECK_FALSE(kernel::has_shared_elements(view::strided(x, {3, 1, 4}, {-4, 0, 1}, 8)));
  Tensor repeated = view::expand(view::slice(x, 0, 0, 1), {3});
  CHECK_THROWS_MATCHES(repeated.set_value(ones({3}, float64)), InvalidArgument,
                       dygrad::testing::MessageContains("set_value", "[3]", "[0]", "clone()"));
  CHECK(x.version() == 0);
  repeated.fill(7);
  CHECK(x.to_vector<double>()[0] == 7);
}

TEST_CASE("copy and loops over several tensors refuse other shapes, whatever the build") {
  CHECK_THROWS_MATCHES(kernel::copy(zeros({2}), zeros({3})), ShapeError,
                       dygrad::testing::MessageContains("copy", "[3]", "[2]"));
  CHECK_THROWS_AS(kernel::copy(zeros({2}), zeros({2, 1})), ShapeError);
  CHECK_THROWS_AS(kernel::copy(zeros({0}), zeros({5})), ShapeError);
}

TEST_CASE("extents of 1 fit any stride") {
  CHECK(kernel::is_same_layout({2, 1, 3}, {3, 99, 1}, {3, -4, 1}));
  CHECK_FALSE(kernel::is_same_layout({2, 1, 3}, {3, 99, 1}, {1, 99, 2}));
}
