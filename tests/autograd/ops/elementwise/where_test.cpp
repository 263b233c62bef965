#include <cmath>
#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

using Binary = std::function<Tensor(const Tensor&, const Tensor&)>;

TEST_CASE("Choosing ops differentiate to second order, with broadcasting") {
  const Tensor a = tensor({{0.5, -1.5, 2.}, {3., 0.25, -0.5}}, float64);
  const Tensor b = tensor({1.25, -0.75, 0.5}, float64);
  const Tensor condition = tensor({{true}, {false}});
  const Binary functions[] = {[](const Tensor& u, const Tensor& v) { return maximum(u * u, v * u); },
                              [](const Tensor& u, const Tensor& v) { return minimum(u * u, v * u); },
                              [&](const Tensor& u, const Tensor& v) { return where(condition, u * u, v * u); },
                              [](const Tensor& u, const Tensor& v) { return clip(u * u, 0.3, 3) * v; }};
  for (const Binary& f : functions) {
    const auto report = check_grads(f, a, b, {.order = 2});
    INFO(report.text);
    CHECK(report.ok);
  }
}

TEST_CASE("A choice before the op and after it keeps infinite derivatives away") {
  const Tensor x = tensor({0., 4., -1.}, float64).set_stop_gradient(false);
  const Tensor inside = x > 0;
  const Tensor plain = where(inside, sqrt(x), zeros_like(x));
  CHECK(std::isnan(grad(plain.sum(), x).at({0})));  // as documented
  const Tensor y = where(inside, sqrt(where(inside, x, ones_like(x))), zeros_like(x));
  CHECK(y.to_vector<double>() == std::vector<double>{0, 2, 0});
  const Tensor first = grad(y.sum(), x, {.create_graph = true});
  CHECK(first.to_vector<double>() == std::vector<double>{0, 0.25, 0});
  CHECK(grad(first.sum(), x).to_vector<double>() == std::vector<double>{0, -1. / 32, 0});
}

TEST_CASE("On a tie, maximum and minimum give each side half the gradient") {
  for (Tensor (*f)(const Tensor&, const Tensor&) : {maximum, minimum}) {
    Tensor a = ones({1}).set_stop_gradient(false);
    Tensor b = ones({1}).set_stop_gradient(false);
    const auto grads = grad({f(a, b)}, {a, b});
    CHECK(grads[0].item() == 0.5);
    CHECK(grads[1].item() == 0.5);
  }
}

TEST_CASE("NaN propagates in maximum and minimum, and stays in clip") {
  const Tensor one = ones({1});
  const Tensor nan = full({1}, std::nan(""));
  for (Tensor (*f)(const Tensor&, const Tensor&) : {maximum, minimum}) {
    CHECK(std::isnan(f(one, nan).item()));
    CHECK(std::isnan(f(nan, one).item()));
  }
  CHECK(std::isnan(clip(nan, 0, 1).item()));
}

TEST_CASE("clip has slope 1 on its bounds and 0 outside") {
  Tensor x = tensor({-1., 0., 0.5, 1., 2.}).set_stop_gradient(false);
  clip(x, 0, 1).backward(ones({5}));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 1, 1, 1, 0});
  CHECK(clip(x, .5, .5).to_vector<float>() == std::vector<float>{.5F, .5F, .5F, .5F, .5F});
  CHECK_THROWS_MATCHES(clip(x, 1, 0), InvalidArgument, MessageContains("clip", "low <= high", "1 and 0", "swap them"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_MATCHES(clip(x, nan, nan), InvalidArgument,
                       MessageContains("not a number", "nan and nan", "give an infinity"));
}

TEST_CASE("where picks from all dtypes and does not spread NaN through the branch not taken") {
  const Tensor condition = tensor({true, false});
  CHECK(where(condition, tensor({1, 2}), tensor({3, 4})).to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 4});
  Tensor x = tensor({4., -1.}).set_stop_gradient(false);
  where(condition, x, full({2}, std::nan(""))).backward(ones({2}));
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 0});
  CHECK_THROWS_MATCHES(where(x, x, x), DtypeError, MessageContains("where", "bool", "float32"));
  CHECK_THROWS_MATCHES(where(condition, tensor({1, 2}), x), DtypeError, MessageContains("where", "int64", "float32"));
}

}  // namespace dygrad::testing
