#include <dygrad/core/copy.h>

#include <dygrad/core/convert.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/print.h>
#include <dygrad/core/random.h>
#include <dygrad/core/view.h>
#include <dygrad/tests/support/catch.h>

#include <cmath>
#include <limits>

using namespace dygrad;

TEST_CASE("floats become integers by truncation, saturation, and zero for nan") {
  using raw::convert;
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  CHECK(convert<std::int64_t>(-1.9) == -1);
  CHECK(convert<std::int64_t>(1e19) == kMost);
  CHECK(convert<std::int64_t>(-1e19F) == kLeast);
  CHECK(convert<std::int64_t>(0x1p63) == kMost);
  CHECK(convert<std::int64_t>(-0x1p63) == kLeast);
  CHECK(convert<std::int64_t>(HUGE_VAL) == kMost);
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
      const Tensor y = raw::cast(tensor({0, 1, 1, 0}, from), to);
      CHECK(y.dtype() == to);
      CHECK(y.to_vector<double>() == std::vector<double>{0, 1, 1, 0});
    }
  }
  const Tensor x = ones({2});
  CHECK(raw::cast(x, float32).is_same(x));
}

TEST_CASE("contiguous returns the tensor itself, or counts a copy") {
  const Tensor x = tensor({{1., 2.}, {3., 4.}});
  CHECK(raw::contiguous(x).is_same(x));
  const auto before = raw::layout_conversions();
  const Tensor y = raw::contiguous(view::transpose(x, 0, 1));
  CHECK(raw::layout_conversions() == before + 1);
  CHECK(y.read<float>()[1] == 3);
}

TEST_CASE("clone keeps a dense order and its values") {
  const Tensor x = uniform({2, 3, 4, 5}, 0, 1);
  const Tensor last = raw::clone(x, MemoryFormat::channels_last);
  CHECK(last.is_contiguous(MemoryFormat::channels_last));
  CHECK(last.to_vector<float>() == x.to_vector<float>());
  CHECK(raw::clone(last).strides() == last.strides());
  CHECK_FALSE(raw::clone(x).is_same(x));
}

TEST_CASE("an expanded tensor is cloned to full size") {
  const Tensor x = view::expand(tensor({{1.}, {2.}}), {2, 3});
  const Tensor y = raw::clone(x);
  CHECK(y.is_contiguous());
  CHECK(y.to_vector<float>() == std::vector<float>{1, 1, 1, 2, 2, 2});
}
