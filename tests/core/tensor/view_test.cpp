#include <dygrad/core/tensor/view.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/tests/support/catch.h>

#include <algorithm>
#include <limits>
#include <numeric>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {

Tensor counted(const Shape& shape) { return view::reshape(arange(num_elements(shape)), shape).value(); }

std::vector<std::int64_t> values(const Tensor& x) { return x.to_vector<std::int64_t>(); }

/// Every shape with `count` elements and at most `rank` dimensions.
void shapes_of(std::int64_t count, int rank, const Shape& begun, std::vector<Shape>& all) {
  if (num_elements(begun) == count) all.push_back(begun);
  if (begun.rank() == rank) return;
  for (std::int64_t extent = 1; extent <= count; ++extent) {
    if (count % (num_elements(begun) * extent) != 0) continue;
    Shape next = begun;
    next.push_back(extent);
    shapes_of(count, rank, next, all);
  }
}

}  // namespace

TEST_CASE("slice follows Python's rules for bounds and steps") {
  const Tensor x = arange(10);
  CHECK(values(view::slice(x, 0, 2, 5)) == std::vector<std::int64_t>{2, 3, 4});
  CHECK(values(view::slice(x, 0, -3, 100)) == std::vector<std::int64_t>{7, 8, 9});
  CHECK(values(view::slice(x, 0, 0, 10, 4)) == std::vector<std::int64_t>{0, 4, 8});
  CHECK(values(view::slice(x, 0, 1, 10, 100)) == std::vector<std::int64_t>{1});
  CHECK(view::slice(x, 0, 5, 2).num_elements() == 0);
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  CHECK(values(view::slice(x, 0, kMin, kMax, kMax)) == std::vector<std::int64_t>{0});
  CHECK_THROWS_MATCHES(view::slice(x, 0, 0, 5, 0), ShapeError, MessageContains("step >= 1", "got 0"));
  CHECK_THROWS_AS(view::slice(x, 1, 0, 5), ShapeError);
  CHECK_THROWS_AS(view::slice(tensor(1), 0, 0, 1), ShapeError);
}

TEST_CASE("views share storage") {
  const Tensor x = counted({3, 4});
  Tensor row = view::select(x, 0, 1);
  row.fill(-1);
  CHECK(x.at({1, 3}) == -1);
  CHECK(x.version() == row.version());
  CHECK_FALSE(view::alias(x).is_same(x));
}

TEST_CASE("select drops a dimension") {
  const Tensor x = counted({2, 3, 4});
  CHECK(values(view::select(view::select(x, 0, -1), 1, 2)) == std::vector<std::int64_t>{14, 18, 22});
  CHECK_THROWS_MATCHES(view::select(x, 1, 3), ShapeError, MessageContains("select", "[-3, 3)", "got 3"));
  CHECK_THROWS_AS(view::select(x, 1, -4), ShapeError);
  CHECK_THROWS_AS(view::select(tensor(1), 0, 0), ShapeError);
}

TEST_CASE("permute and transpose reorder dimensions") {
  const Tensor x = counted({2, 3, 4});
  const Tensor y = view::permute(x, {2, 0, -2});
  CHECK(y.shape() == Shape{4, 2, 3});
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::int64_t j = 0; j < 3; ++j) {
      for (std::int64_t k = 0; k < 4; ++k) CHECK(y.at({k, i, j}) == x.at({i, j, k}));
    }
  }
  CHECK(view::transpose(x, 0, -1).shape() == Shape{4, 3, 2});
  CHECK_THROWS_MATCHES(view::permute(x, {0, 1}), ShapeError, MessageContains("3 axes"));
  CHECK_THROWS_MATCHES(view::permute(x, {0, 1, -2}), ShapeError, MessageContains("twice"));
  CHECK_THROWS_AS(view::permute(x, {0, 1, 3}), ShapeError);
}

TEST_CASE("expand repeats without copying") {
  const Tensor x = tensor({{1}, {2}});
  const Tensor y = view::expand(x, {3, 2, 2});
  CHECK(y.strides()[0] == 0);
  CHECK(y.strides()[2] == 0);
  CHECK(values(y) == std::vector<std::int64_t>{1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2});
  CHECK(view::expand(x, {2, 0}).num_elements() == 0);
  CHECK_THROWS_MATCHES(view::expand(x, {3, 1}), ShapeError, MessageContains("[2, 1]", "[3, 1]"));
  CHECK_THROWS_AS(view::expand(x, {2}), ShapeError);
  CHECK_THROWS_AS(view::expand(x, {2, -1}), ShapeError);
  CHECK_THROWS_AS(view::expand(x, {std::numeric_limits<std::int64_t>::max(), 2, 3}), ShapeError);
}

TEST_CASE("a reshaped view has the values of a reshaped copy, for every permutation and target") {
  std::vector<Shape> targets;
  shapes_of(12, 4, {}, targets);
  REQUIRE(targets.size() > 50);
  int views = 0;
  for (const Shape& start : {Shape{2, 3, 2}, Shape{1, 12}, Shape{3, 4}, Shape{2, 1, 6}, Shape{12}, Shape{3, 2, 1, 2}}) {
    Axes order = start;
    std::iota(order.begin(), order.end(), 0);
    do {
      const Tensor x = view::permute(counted(start), order);
      for (const Shape& target : targets) {
        const std::optional<Tensor> y = view::reshape(x, target);
        INFO("start " << start << ", order " << order << ", target " << target);
        if (x.is_contiguous()) REQUIRE(y.has_value());
        if (!y) continue;
        ++views;
        REQUIRE(y->shape() == target);
        REQUIRE(values(*y) == values(x));
      }
      REQUIRE(view::reshape(x, x.shape()).has_value());
    } while (std::next_permutation(order.begin(), order.end()));
  }
  CHECK(views > 500);
}

TEST_CASE("reshape finds a view of sliced and expanded tensors only where there is one") {
  const Tensor x = view::slice(counted({4, 6}), 1, 0, 6, 2);  // [4, 3], strides 6 and 2
  CHECK(values(view::reshape(x, {12}).value()) == values(x));
  CHECK(values(view::reshape(x, {2, 2, 3}).value()) == values(x));
  const Tensor part = view::slice(counted({4, 6}), 1, 0, 3);
  CHECK_FALSE(view::reshape(part, {12}).has_value());
  CHECK(values(view::reshape(part, {2, 2, 1, 3}).value()) == values(part));
  const Tensor repeated = view::expand(tensor({{1}, {2}}), {2, 4});
  CHECK(values(view::reshape(repeated, {2, 2, 2}).value()) == values(repeated));
  CHECK_FALSE(view::reshape(repeated, {8}).has_value());
}

TEST_CASE("one extent may be left open") {
  CHECK(view::resolve_shape({2, 6}, {3, -1}) == Shape{3, 4});
  CHECK(view::resolve_shape({0, 6}, {-1, 2}) == Shape{0, 2});
  CHECK(view::resolve_shape({}, {-1}) == Shape{1});
  CHECK_THROWS_MATCHES(view::resolve_shape({2, 6}, {5, -1}), ShapeError, MessageContains("12 elements", "[5, -1]"));
  CHECK_THROWS_AS(view::resolve_shape({2, 6}, {-1, -1}), ShapeError);
  CHECK_THROWS_AS(view::resolve_shape({2, 6}, {-2, 6}), ShapeError);
  CHECK_THROWS_AS(view::resolve_shape({0}, {0, -1}), ShapeError);
  CHECK_THROWS_AS(view::resolve_shape({2}, {std::numeric_limits<std::int64_t>::max(), 4}), ShapeError);
}

TEST_CASE("views of an undefined tensor are errors") {
  CHECK_THROWS_MATCHES(view::alias(Tensor()), InvalidArgument, MessageContains("before it was given a value"));
  CHECK_THROWS_MATCHES(view::slice(Tensor(), 0, 0, 1), InvalidArgument, MessageContains("before it was given a value"));
  CHECK_THROWS_MATCHES(view::select(Tensor(), 0, 0), InvalidArgument, MessageContains("before it was given a value"));
  CHECK_THROWS_MATCHES(view::permute(Tensor(), {}), InvalidArgument, MessageContains("before it was given a value"));
  CHECK_THROWS_MATCHES(view::transpose(Tensor(), 0, 1), InvalidArgument,
                       MessageContains("before it was given a value"));
  CHECK_THROWS_MATCHES(view::expand(Tensor(), {2}), InvalidArgument, MessageContains("before it was given a value"));
  CHECK_THROWS_MATCHES(view::reshape(Tensor(), {2}), InvalidArgument, MessageContains("before it was given a value"));
}
