#include <dygrad/core/base/shape.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/tests/support/catch.h>

#include <limits>
#include <vector>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {
constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
}

TEST_CASE("dims hold up to six numbers inline") {
  Dims dims{2, 3};
  dims.push_back(5);
  dims.insert(0, 7);
  CHECK(dims == Dims{7, 2, 3, 5});
  dims.erase(1);
  CHECK(dims == Dims{7, 3, 5});
  CHECK(dims.back() == 5);
  CHECK(dims.contains(3));
  CHECK_FALSE(dims.contains(2));
  CHECK(Dims::filled(3, 4) == Dims{4, 4, 4});
  CHECK(Dims().rank() == 0);
  CHECK(Dims{1, 2} != Dims{1, 2, 0});
}

TEST_CASE("more than six dimensions are refused") {
  const std::vector<std::int64_t> seven(7, 1);
  CHECK_THROWS_MATCHES(Dims(seven), ShapeError, MessageContains("rank at most 6", "got 7"));
  CHECK_THROWS_AS(Dims::filled(7, 1), ShapeError);
  Dims full = Dims::filled(6, 1);
  CHECK_THROWS_AS(full.push_back(1), ShapeError);
  CHECK(full == Dims::filled(6, 1));
}

TEST_CASE("the number of elements is the product of the extents") {
  CHECK(num_elements(Shape()) == 1);
  CHECK(num_elements(Shape{2, 3, 4}) == 24);
  CHECK(num_elements(Shape{2, 0, 4}) == 0);
  CHECK(num_elements(Shape(kHuge)) == kHuge);
}

TEST_CASE("sizes that are negative or overflow are refused, even beside an extent of zero") {
  CHECK_THROWS_MATCHES(num_elements(Shape{2, -1}), ShapeError, MessageContains("shape: negative extent", "[2, -1]"));
  CHECK_THROWS_MATCHES(num_bytes(Shape{2, -1}, 4, "expand"), ShapeError,
                       MessageContains("expand: negative extent", "[2, -1]"));
  CHECK_THROWS_AS(num_elements(Shape{kHuge, 2}), ShapeError);
  CHECK_THROWS_AS(num_elements(Shape{0, kHuge, kHuge}), ShapeError);
  CHECK_THROWS_AS(num_elements(Shape{0, -1}), ShapeError);
  CHECK_THROWS_AS(num_bytes(Shape(kHuge / 2), 4), ShapeError);
  CHECK(num_bytes(Shape(kHuge / 8), 8) == kHuge / 8 * 8);
}

TEST_CASE("axes count from either end") {
  CHECK(normalize_axis(-1, 3, "op") == 2);
  CHECK(normalize_axis(2, 3, "op") == 2);
  CHECK(normalize_axis(-1, 0, "op") == 0);
  CHECK_THROWS_MATCHES(normalize_axis(3, 3, "myop"), ShapeError, MessageContains("myop", "[-3, 3)", "got 3"));
  CHECK_THROWS_AS(normalize_axis(-4, 3, "op"), ShapeError);
  CHECK_THROWS_AS(normalize_axis(kHuge, 3, "op"), ShapeError);
  CHECK(normalize_axes({-1, 0}, 3, "op") == Axes{0, 2});
  CHECK(normalize_axes({}, 3, "op") == Axes{0, 1, 2});
  CHECK_THROWS_MATCHES(normalize_axes({1, -2}, 3, "op"), ShapeError, MessageContains("twice"));
}

TEST_CASE("shapes broadcast by numpy's rule") {
  CHECK(broadcast_shapes({3, 1, 5}, {4, 5}, "add") == Shape{3, 4, 5});
  CHECK(broadcast_shapes({}, {2}, "add") == Shape{2});
  CHECK(broadcast_shapes({0}, {1}, "add") == Shape{0});
  CHECK_THROWS_MATCHES(broadcast_shapes({2, 3}, {2, 4}, "add"), ShapeError,
                       MessageContains("add", "[2, 3]", "3 and 4"));
  CHECK_THROWS_AS(broadcast_shapes({0}, {2}, "add"), ShapeError);
  CHECK(is_expandable({3, 1}, {2, 3, 4}));
  CHECK_FALSE(is_expandable({2, 3}, {3}));
  CHECK_FALSE(is_expandable({2}, {3}));
}

TEST_CASE("dense strides follow the memory format") {
  CHECK(dense_strides({2, 3, 4}) == Strides{12, 4, 1});
  CHECK(dense_strides({2, 3, 4, 5}, MemoryFormat::channels_last) == Strides{60, 1, 15, 3});
  CHECK(is_dense({2, 3}, {3, 1}));
  CHECK_FALSE(is_dense({2, 3}, {1, 2}));
  CHECK(is_dense({1, 3}, {99, 1}));  // an extent of 1 is never stepped over
  CHECK(is_dense({0, 3}, {7, 9}));
  CHECK(is_dense({2, 3, 1, 1}, {3, 1, 5, 5}, MemoryFormat::channels_last));
}

TEST_CASE("a shape is made of a list with or without parentheses") {
  const std::int64_t n = 3;
  CHECK(Shape({5}) == Shape{5});
  CHECK(Shape({2, 3}) == Shape{2, 3});
  CHECK(Shape({2, n, 4L}) == Shape{2, 3, 4});
  CHECK(Shape({std::size_t{2}, std::size_t{7}}) == Shape(2, 7));
  CHECK(Shape(std::vector<std::int64_t>{4, 5}) == Shape({4, 5}));
  const auto rank = [](const Shape& shape) { return shape.rank(); };
  CHECK(rank({5}) == 1);
  CHECK(rank({n, 6}) == 2);
}

TEST_CASE("dims are made of lists with a name") {
  const std::initializer_list<std::int64_t> wide{2, 3};
  const std::initializer_list<int> narrow{2, 3}, long_list{1, 1, 1, 1, 1, 1, 1};
  CHECK(Dims(wide) == Dims{2, 3});
  CHECK(Dims(narrow) == Dims{2, 3});
  CHECK_THROWS_AS(Dims(long_list), ShapeError);
  CHECK(Dims({2, 3}) == Dims{2, 3});
}

TEST_CASE("dims are made of numbers that int64 holds") {
  constexpr std::uint64_t kLarge = std::uint64_t{1} << 63;
  CHECK_THROWS_MATCHES(Dims(kLarge), ShapeError,
                       MessageContains("shape", "too large", "got 9223372036854775808", "fix"));
  CHECK_THROWS_AS((Dims{std::uint64_t{1}, ~std::uint64_t{0}}), ShapeError);
  CHECK(Dims(kLarge - 1)[0] == INT64_MAX);
}
