#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor rows() { return tensor({{1., -2., 3.}, {.5, .25, -1.}}, float64); }
}  // namespace

TEST_CASE("sum and mean go over the axes asked for") {
  const Tensor x = arange(24, float64).reshape({2, 3, 4});
  CHECK(sum(x).item() == 276);
  CHECK(sum(x).rank() == 0);
  CHECK(same(sum(x, {0, -1}), tensor({60., 92., 124.}, float64)));
  CHECK(sum(x, {1}, true).shape() == Shape(2, 1, 4));
  CHECK(same(mean(x, {1, 2}), tensor({5.5, 17.5}, float64)));
  CHECK(mean(x, {}, true).shape() == Shape(1, 1, 1));
  CHECK(sum(tensor(3.)).item() == 3);
  CHECK_THROWS_MATCHES(sum(x, {3}), ShapeError, MessageContains("sum", "axis out of range", "got 3"));
  CHECK_THROWS_MATCHES(mean(x, {1, -2}), ShapeError, MessageContains("mean", "twice"));
}

TEST_CASE("integers and bools are counted in int64") {
  CHECK(sum(tensor({true, false, true})).item<std::int64_t>() == 2);
  CHECK(sum(full({300}, 255, uint8)).item<std::int64_t>() == 76500);
  CHECK(sum(arange(5)).dtype() == int64);
  CHECK_THROWS_MATCHES(mean(arange(5)), DtypeError, MessageContains("mean", "int64"));
  CHECK_THROWS_AS(max(arange(5)), DtypeError);
}

TEST_CASE("reductions of nothing follow IEEE, or say that there is nothing to choose") {
  const Tensor none = zeros({0, 3});
  CHECK(same(sum(none, {0}), zeros({3})));
  CHECK(same(mean(none, {0}), full({3}, kNaN)));
  CHECK(same(logsumexp(none, {0}), full({3}, -kInfinity)));
  CHECK(max(none, {1}).shape() == Shape(0));
  CHECK_THROWS_MATCHES(max(none), ShapeError, MessageContains("max", "nothing to choose from"));
  CHECK_THROWS_MATCHES(argmin(none, 0), ShapeError, MessageContains("argmin", "nothing to choose from"));
}

TEST_CASE("NaN propagates in max and min, the first of equals in argmax") {
  const Tensor x = tensor({{1., kNaN, 3.}, {2., 7., 7.}}, float64);
  CHECK(same(max(x, {1}), tensor({kNaN, 7.}, float64)));
  CHECK(same(min(x, {1}), tensor({kNaN, 2.}, float64)));
  CHECK(same(max(x, {0}), tensor({2., kNaN, 7.}, float64)));
  CHECK(same(argmax(x, 1), tensor({1, 1})));
  CHECK(same(argmin(x, 0, true), tensor({{0, 0, 0}})));
  CHECK(same(argmin(x, 0), tensor({0, 0, 0})));
  CHECK(argmax(tensor(4.), 0).item<std::int64_t>() == 0);
  CHECK(same(argmax(transpose(arange(6).reshape({2, 3}), 0, 1), 1), tensor({1, 1, 1})));
}

TEST_CASE("equal maxima share the gradient") {
  const Tensor x = leaf(tensor({{2., 5., 5.}, {1., 0., -1.}}, float64));
  sum(max(x, {1})).backward();
  CHECK(same(x.grad(), tensor({{0., .5, .5}, {1., 0., 0.}}, float64)));
}

TEST_CASE("variance and logsumexp agree with torch") {
  // torch 1.13 in float64: x as below, torch.var(x, (0, 2, 3)), and torch.logsumexp(rows, 1). A variance of 8 numbers
  // up to 8 carries 8 roundings of 8^2.
  std::vector<double> values;
  for (int i = 0; i < 16; ++i) values.push_back(std::pow(i, 1.5) / 8);
  const Tensor x = from_vector(values, {2, 2, 2, 2});
  CHECK(distance(var(x, {0, 2, 3}), tensor({3.5704517915300436, 6.466469667573401}, float64)) <= 512 * kEpsilon64);
  CHECK(distance(var(x, {0, 2, 3}, false, 0) * 8., var(x, {0, 2, 3}) * 7.) <= 512 * kEpsilon64);
  CHECK(distance(logsumexp(rows(), {1}), tensor({3.1328452337275756, 1.1941121864019144}, float64)) <= 8 * kEpsilon64);
  CHECK(std::isnan(var(ones({1})).item()));
  CHECK(var(ones({1}), {}, false, 0).item() == 0);
}

TEST_CASE("variance keeps its digits far from zero") {
  const Tensor x = tensor({1e6, 1e6 + 1, 1e6 + 2}, float32);
  CHECK(var(x).item() == 1);
}

TEST_CASE("variance and its gradients are right where the mean is much larger") {
  // Distances of halves, which the mean of them is not a multiple of: exact in float32 at 2^22, and the mean is
  // rounded.
  const std::vector<double> distances{-1.5, -.5, 0, .5, .5, 2, 3.5};
  double sum = 0, squares = 0;
  for (const double d : distances) sum += d;
  const double mean = sum / 7;
  for (const double d : distances) squares += (d - mean) * (d - mean);
  for (const DType dtype : {float32, float64}) {
    const double centre = dtype == float32 ? 0x1p22 : 0x1p51;
    const double rounding = 16 * (dtype == float32 ? kEpsilon32 : kEpsilon64) * 12;  // of squares up to 12
    const Tensor x = leaf(kernel::cast(from_vector(distances) + centre, dtype));
    const Tensor y = var(x);
    CHECK(std::abs(y.item() - squares / 6) <= rounding);
    const Tensor first = grad(y, x, {.create_graph = true});
    const Tensor v = kernel::cast(from_vector(std::vector<double>{1, -2, 3, -4, 5, -6, 7}), dtype);
    const Tensor second = grad((first * v).sum(), x);
    const double v_mean = 4. / 7;
    for (std::int64_t i = 0; i < 7; ++i) {
      const double d = distances[static_cast<std::size_t>(i)];
      CHECK(std::abs(first.at({i}) - (d - mean) / 3) <= rounding);
      CHECK(std::abs(second.at({i}) - (v.at({i}) - v_mean) / 3) <= rounding);
    }
  }
}

TEST_CASE("logsumexp's gradients are those of softmax, whatever the size of its input") {
  for (const DType dtype : {float32, float64}) {
    const double rounding = 16 * (dtype == float32 ? kEpsilon32 : kEpsilon64);
    for (const double size : {0., 1e-30, 1., 1e7, -1e7, 1e12, -1e12, 1e30, -1e30}) {
      CAPTURE(name_of(dtype), size);
      const Tensor x = leaf(full({100}, size, dtype));
      const Tensor first = grad(logsumexp(x), x, {.create_graph = true});
      CHECK(std::abs(first.sum().item() - 1) <= rounding);
      for (const double p : first.detach().to_vector<double>()) CHECK(std::abs(p - .01) <= .01 * rounding);
      // Of p_0: p_0 (1 - p_0) for x_0, and -p_0 p_i for the others.
      const Tensor second = grad(first.select(0, 0), x);
      CHECK(std::abs(second.at({0}) - .0099) <= .01 * rounding);
      CHECK(std::abs(second.at({1}) + .0001) <= .0001 * rounding);
    }
  }
}

TEST_CASE("an infinite input takes all of logsumexp's gradient") {
  const Tensor x = leaf(tensor({{kInfinity, 3., -kInfinity}, {-kInfinity, 2., 2.}}, float64));
  sum(logsumexp(x, {1})).backward();
  CHECK(same(x.grad(), tensor({{1., 0., 0.}, {0., .5, .5}}, float64)));
}

TEST_CASE("logsumexp does not overflow, and rows of minus infinity have zero gradients") {
  CHECK(distance(logsumexp(tensor({1000., 1000.}, float64)), tensor(1000 + std::log(2.), float64)) <=
        1000 * kEpsilon64);
  const Tensor x = leaf(tensor({{-kInfinity, -kInfinity}, {0., -kInfinity}}, float64));
  const Tensor y = logsumexp(x, {1});
  CHECK(same(y, tensor({-kInfinity, 0.}, float64)));
  sum(y).backward();
  CHECK(same(x.grad(), tensor({{0., 0.}, {1., 0.}}, float64)));
  CHECK(logsumexp(tensor({kInfinity, 0.})).item() == kInfinity);
}

TEST_CASE("reductions have right derivatives to second order") {
  const Tensor x = spread_values({2, 3, 4}, 1);
  for (const Axes& axes : {Axes{}, Axes{1}, Axes{0, 2}}) {
    for (const bool keepdim : {false, true}) {
      const auto squared = [](const Tensor& y) { return y * y; };
      const CheckGradsOptions second{.order = 2};
      CHECK_THAT(check_grads([&](const Tensor& t) { return squared(sum(t, axes, keepdim)); }, x, second), GradsAgree());
      CHECK_THAT(check_grads([&](const Tensor& t) { return squared(mean(t, axes, keepdim)); }, x, second),
                 GradsAgree());
      CHECK_THAT(check_grads([&](const Tensor& t) { return squared(max(t, axes, keepdim)); }, x, second), GradsAgree());
      CHECK_THAT(check_grads([&](const Tensor& t) { return squared(min(t, axes, keepdim)); }, x, second), GradsAgree());
      CHECK_THAT(check_grads([&](const Tensor& t) { return squared(var(t, axes, keepdim)); }, x, second), GradsAgree());
      CHECK_THAT(check_grads([&](const Tensor& t) { return logsumexp(t, axes, keepdim); }, x, second), GradsAgree());
    }
  }
}

TEST_CASE("any and all look at every element of a bool tensor") {
  CHECK(any(tensor({false, true})));
  CHECK_FALSE(all(tensor({false, true})));
  CHECK_FALSE(any(zeros({0}, boolean)));
  CHECK(all(zeros({0}, boolean)));
  CHECK_THROWS_MATCHES(any(tensor({1.})), DtypeError, MessageContains("any", "bool", "float32"));
}

TEST_CASE("an infinite gradient of max or min reaches the winners alone") {
  const Tensor x = leaf(tensor({{1., 3., 3.}, {2., 5., 4.}}, float64));
  const Tensor g = tensor({kInfinity, -kInfinity}, float64);
  CHECK(same(grad({max(x, {1})}, {x}, {.grad_outputs = {g}}).front(),
             tensor({{0., kInfinity, kInfinity}, {0., -kInfinity, 0.}}, float64)));
  CHECK(same(grad({min(x, {1})}, {x}, {.grad_outputs = {g}}).front(),
             tensor({{kInfinity, 0., 0.}, {-kInfinity, 0., 0.}}, float64)));
}

TEST_CASE("where NaN won in max, no element's gradient is a number") {
  const Tensor x = leaf(tensor({{1., kNaN}, {2., 5.}}, float64));
  CHECK(same(grad(max(x, {1}).sum(), x), tensor({{kNaN, kNaN}, {0., 1.}}, float64)));
}

TEST_CASE("a row of logsumexp keeps its digits beside a row with NaN") {
  const Tensor alone = logsumexp(tensor({{0., -20.}}, float32), {1});
  const Tensor beside = logsumexp(tensor({{0., -20.}, {kNaN, 2.}}, float32), {1});
  CHECK(beside.at({0}) == alone.at({0}));
  CHECK(alone.at({0}) == Approx(std::exp(-20.)).epsilon(4 * kEpsilon32));
  CHECK(std::isnan(beside.at({1})));
}

TEST_CASE("infinity takes all of logsumexp's gradient, from the largest number too") {
  for (const DType dtype : {float32, float64}) {
    const double most =
        dtype == float32 ? static_cast<double>(std::numeric_limits<float>::max()) : std::numeric_limits<double>::max();
    const Tensor x = leaf(tensor({kInfinity, most, -kInfinity, 0.}, dtype));
    CHECK(same(grad(logsumexp(x), x), tensor({1., 0., 0., 0.}, dtype)));
    const Tensor two = leaf(tensor({kInfinity, most, kInfinity}, dtype));
    CHECK(same(grad(logsumexp(two), two), tensor({.5, 0., .5}, dtype)));
  }
}
