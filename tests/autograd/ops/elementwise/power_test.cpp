#include <cmath>
#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

TEST_CASE("Powers with a number as exponent differentiate to second order") {
  const Tensor x = tensor({0.25, 1., 1.75, 3.}, float64);
  for (double exponent : {0., 1., 2., 3., 0.5, -1., -0.5, 2.5}) {
    CAPTURE(exponent);
    const auto values = pow(x, exponent).to_vector<double>();
    const double expected = std::pow(1.75, exponent);
    CHECK(std::abs(values[2] - expected) <= 4 * std::numeric_limits<double>::epsilon() * expected);
    const auto report = check_grads([&](const Tensor& t) { return pow(t, exponent); }, x, {.order = 2});
    INFO(report.text);
    CHECK(report.ok);
  }
}

TEST_CASE("Exponents 0, 1, 2 and 3 are exact at 0, with their derivatives") {
  const double slopes[] = {0, 1, 0, 0};
  for (int exponent : {0, 1, 2, 3}) {
    CAPTURE(exponent);
    Tensor x = full({1}, 0, float64).set_stop_gradient(false);
    const Tensor y = pow(x, exponent);
    CHECK(y.item() == (exponent == 0 ? 1 : 0));
    CHECK(grad({y}, {x})[0].item() == slopes[exponent]);
  }
}

TEST_CASE("Powers of tensors broadcast and differentiate to second order") {
  const Tensor a = tensor({{0.5}, {2.}}, float64);
  const Tensor b = tensor({-1., 0., 0.5, 2.}, float64);
  CHECK(pow(a, b).to_vector<double>()[7] == 4);
  const auto report = check_grads(
      std::function<Tensor(const Tensor&, const Tensor&)>([](const Tensor& u, const Tensor& v) { return pow(u, v); }),
      a, b, {.order = 2});
  INFO(report.text);
  CHECK(report.ok);
}

TEST_CASE("Derivatives of tensor powers at base 0 are the limits, not NaN") {
  Tensor a = zeros({4}, float64).set_stop_gradient(false);
  Tensor b = tensor({0., 1., 2., 0.5}, float64).set_stop_gradient(false);
  const auto grads = grad({pow(a, b)}, {a, b});
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(grads[0].to_vector<double>() == std::vector<double>{0, 1, 0, inf});
  CHECK(grads[1].to_vector<double>() == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("Derivatives of tensor powers at an infinite base are the limits, not NaN") {
  const double inf = std::numeric_limits<double>::infinity();
  Tensor a = full({4}, inf, float64).set_stop_gradient(false);
  Tensor b = tensor({-2., -0.5, 0.5, 0.}, float64).set_stop_gradient(false);
  const auto grads = grad({pow(a, b)}, {a, b});
  CHECK(grads[0].to_vector<double>() == std::vector<double>{0, 0, 0, 0});
  CHECK(grads[1].to_vector<double>() == std::vector<double>{0, 0, inf, inf});
}

TEST_CASE("Derivatives of a^0 in a are 0 for every a, tensor exponents included") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const double at : {0., -0., 5e-324, -5e-324, 1e-310, 1., -2., inf, -inf, nan}) {
    CAPTURE(at);
    const Tensor a = full({}, at, float64).set_stop_gradient(false);
    CHECK(grad(pow(a, zeros({}, float64)), a).item() == 0);
    CHECK(grad(pow(a, 0.), a).item() == 0);
  }
  const Tensor small = full({}, 1e-40f, float32).set_stop_gradient(false);
  CHECK(grad(pow(small, zeros({})), small).item() == 0);
}

TEST_CASE("Powers of integers are refused by name, whatever the exponent") {
  for (const double exponent : {0., 1., 2., 0.5, -1., 3.})
    CHECK_THROWS_MATCHES(pow(arange(3), exponent), DtypeError, Says("pow: ", "int64"));
}

TEST_CASE("The derivative of a power is finite wherever it is representable") {
  // -x^(-3/2) / 2, where x^(-3/2) alone overflows.
  for (const float at : {1.4e-26f, 1.6e-26f, 1.9e-26f}) {
    CAPTURE(at);
    const Tensor x = full({}, at, float32).set_stop_gradient(false);
    pow(x, -0.5).backward();
    const double expected = -0.5 * std::pow(static_cast<double>(at), -1.5);
    REQUIRE(std::isfinite(x.grad().item<float>()));
    CHECK(std::abs(x.grad().item() - expected) <= 8 * std::numeric_limits<float>::epsilon() * std::abs(expected));
  }
  const Tensor zero = zeros({}).set_stop_gradient(false);
  pow(zero, -0.5).backward();
  CHECK(zero.grad().item() == -static_cast<double>(INFINITY));
}

}  // namespace dygrad::testing
