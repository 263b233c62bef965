#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("matmul multiplies matrices, and vectors as rows or columns") {
  const Tensor a = tensor({{1, 2}, {3, 4}, {5, 6}}, float64), b = tensor({{1, 0, 2}, {0, 1, -1}}, float64);
  CHECK(same(matmul(a, b), tensor({{1, 2, 0}, {3, 4, 2}, {5, 6, 4}}, float64)));
  const Tensor v = tensor({1, -1}, float64), u = tensor({1, 1, 1}, float64);
  CHECK(same(matmul(a, v), tensor({-1, -1, -1}, float64)));
  CHECK(same(matmul(u, a), tensor({9, 12}, float64)));
  CHECK(matmul(v, v).item() == 2);
  CHECK(matmul(v, v).rank() == 0);
  CHECK(matmul(strided(a).to(float32), strided(b).to(float32)).at({2, 2}) == 4);
}

TEST_CASE("matmul broadcasts leading dimensions") {
  const Tensor a = small_integers({2, 1, 3, 4}, 1), b = small_integers({5, 4, 2}, 2);
  const Tensor y = matmul(a, b);
  CHECK(y.shape() == Shape(2, 5, 3, 2));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 5; ++j)
      CHECK(same(y.select(0, i).select(0, j), matmul(a.select(0, i).select(0, 0), b.select(0, j))));
  const Tensor w = small_integers({4, 3}, 3);
  CHECK(same(matmul(a, w).select(0, 1), matmul(a.select(0, 1), w)));
  CHECK(matmul(b, small_integers(Shape(2), 4)).shape() == Shape(5, 4));
  CHECK(matmul(small_integers(Shape(4), 4), b).shape() == Shape(5, 2));
}

TEST_CASE("matmul of empty operands gives zeros or nothing") {
  CHECK(same(matmul(zeros({2, 0}), zeros({0, 3})), zeros({2, 3})));
  CHECK(matmul(zeros({0, 2}), zeros({2, 3})).shape() == Shape(0, 3));
  CHECK(matmul(zeros({0, 2, 2}), zeros({2, 3})).shape() == Shape(0, 2, 3));
  const Tensor a = leaf(ones({2, 0})), b = leaf(ones({0, 3}));
  sum(matmul(a, b)).backward();
  CHECK(a.grad().shape() == a.shape());
}

TEST_CASE("matmul has right derivatives to second order") {
  const auto squared = [](const Tensor& a, const Tensor& b) {
    const Tensor y = matmul(a, b);
    return y * y;
  };
  const std::pair<Shape, Shape> shapes[] = {{{2, 3}, {3, 2}}, {{3}, {3}},          {{3}, {2, 3, 2}},
                                            {{2, 3}, {3}},    {{2, 2, 3}, {3, 2}}, {{2, 1, 2, 2}, {3, 2, 2}}};
  for (const auto& [a, b] : shapes) {
    CHECK_THAT(check_grads(squared, spread_values(a, 1), spread_values(b, 2), {.order = 2}), GradsAgree());
  }
}

TEST_CASE("matmul in float32 agrees with float64") {
  const Tensor a = spread_values({17, 33}, 1, float32), b = spread_values({33, 9}, 2, float32);
  // 33 products of size 1, each rounded once and added once: at most 33 * 34 / 2 half-epsilons.
  CHECK(distance(matmul(a, b), matmul(a.to(float64), b.to(float64))) <= 33 * 34 / 2 * kEpsilon32);
}

TEST_CASE("matmul says what does not fit") {
  CHECK_THROWS_MATCHES(
      matmul(zeros({2, 3}), zeros({2, 3})), ShapeError,
      MessageContains("matmul: inner sizes differ.", "a [2, 3], b [2, 3]", "a.dim(-1) == b.dim(-2)", "got 3 and 2"));
  CHECK_THROWS_MATCHES(matmul(zeros({2, 3}), zeros({2})), ShapeError, MessageContains("b.dim(-1)"));
  CHECK_THROWS_MATCHES(matmul(tensor(1.), zeros({2})), ShapeError, MessageContains("no dimensions"));
  CHECK_THROWS_MATCHES(matmul(zeros({2, 2, 2}), zeros({3, 2, 2})), ShapeError,
                       MessageContains("matmul", "broadcast", "2 and 3"));
  CHECK_THROWS_MATCHES(matmul(zeros({2, 2}), zeros({2, 2}, float64)), DtypeError,
                       MessageContains("matmul", "float32", "float64"));
  CHECK_THROWS_MATCHES(matmul(arange(2), arange(2)), DtypeError, MessageContains("int64"));
}

TEST_CASE("matmul names what would make the operands fit") {
  const auto says = [](const Shape& a, const Shape& b, const char* words) {
    CHECK_THROWS_MATCHES(matmul(zeros(a), zeros(b)), ShapeError, MessageContains("matmul", words));
  };
  says({2, 2, 3}, {3, 3, 4}, "a [2, 2, 3], b [3, 3, 4]\n  expected equal extents, or 1, at dimension -3, got 2 and 3");
  says({3}, {2}, "fix: give vectors of one length");
  says({3}, {4, 3}, "fix: transpose b");
  says({3, 4}, {3}, "fix: transpose a");
  says({2, 3}, {4, 2}, "fix: swap the operands, or transpose both");
  says({2, 3}, {4, 5}, "fix: reshape one operand");
}
