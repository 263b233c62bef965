#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
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
    CHECK_THROWS_MATCHES(pow(arange(3), exponent), DtypeError, MessageContains("pow: ", "int64"));
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

namespace {

template <class T>
void check_powers_of_any_magnitude() {
  using Limits = std::numeric_limits<T>;
  constexpr std::size_t kCount = 20000;
  constexpr int kExponents = Limits::max_exponent - 2;
  std::mt19937_64 engine(5);
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * std::ldexp(static_cast<double>(engine() >> 11), -53);
  };
  std::vector<T> a(kCount), b(kCount), g(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    a[i] = static_cast<T>(std::exp2(uniform(-kExponents, kExponents)));
    b[i] = static_cast<T>(uniform(-3, 3));
    g[i] = static_cast<T>(std::exp2(uniform(-kExponents, kExponents)));
  }
  Tensor ta = from_vector(a), tb = from_vector(b), tg = from_vector(g);
  for (Tensor* t : {&ta, &tb, &tg}) t->set_stop_gradient(false);
  const std::vector<Tensor> first = grad({pow(ta, tb)}, {ta, tb}, {.grad_outputs = {tg}, .create_graph = true});
  const std::vector<Tensor> of_a = grad({first[0].sum()}, {ta, tb}, {.retain_graph = true});
  const std::vector<Tensor> of_b = grad({first[1].sum()}, {ta, tb});
  const std::array<std::vector<T>, 6> got{first[0].to_vector<T>(), first[1].to_vector<T>(), of_a[0].to_vector<T>(),
                                          of_a[1].to_vector<T>(),  of_b[0].to_vector<T>(),  of_b[1].to_vector<T>()};
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const long double u = a[i], v = b[i], w = g[i], log = std::log(u);
    const long double mixed = w * std::pow(u, v - 1) * (v * log + 1);
    const long double parts = std::abs(w) * std::pow(u, v - 1) * (std::abs(v * log) + 1);
    const std::array<long double, 6> want{
        w * v * std::pow(u, v - 1),    w * std::pow(u, v) * log, w * v * (v - 1) * std::pow(u, v - 2), mixed, mixed,
        w * std::pow(u, v) * log * log};
    // An exponent b - 1 or b - 2 is rounded, at most by epsilon times 1 + |b|, which the power multiplies by |log a|.
    const long double rounding = Limits::epsilon() * (8 + 2 * std::abs(log) * (2 + std::abs(v)));
    for (std::size_t k = 0; k < want.size(); ++k) {
      // Halves of a power that is out of range must be in it, which they are; so must be g times the polynomial.
      const long double scale = k == 3 || k == 4 ? parts : std::abs(want[k]);
      if (scale > Limits::max() || w * (1 + log * log) * 12 > Limits::max()) continue;
      const bool right = std::isfinite(got[k][i]) && std::abs(got[k][i] - want[k]) <=
                                                         rounding * scale + 4 * static_cast<long double>(Limits::min());
      if (right) continue;
      if (++wrong <= 3) {
        INFO("derivative " << k << " of " << a[i] << "^" << b[i] << ", g " << g[i] << ": got " << got[k][i] << ", not "
                           << static_cast<double>(want[k]));
        CHECK(right);
      }
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("Derivatives of positive powers are right where they, and g times the logarithms, are in the dtype's range") {
  check_powers_of_any_magnitude<float>();
  check_powers_of_any_magnitude<double>();
}

TEST_CASE("Powers of negative bases have gradients for whole exponents only") {
  const Tensor a = tensor({-2., -2., -8.}, float64).set_stop_gradient(false);
  const Tensor b = tensor({.5, 3., -1.5}, float64).set_stop_gradient(false);
  const auto first = grad({pow(a, b)}, {a, b}, {.create_graph = true});
  const Tensor second = grad(first[0].sum(), a, {.retain_graph = true});
  for (const std::int64_t i : {0, 2}) {
    CHECK(std::isnan(first[0].at({i})));
    CHECK(std::isnan(second.at({i})));
  }
  CHECK(first[0].at({1}) == 12);
  CHECK(second.at({1}) == -12);
  for (const double exponent : {.5, -1.5}) {
    const Tensor x = tensor({-2., 2.}, float64).set_stop_gradient(false);
    const Tensor slope = grad(pow(x, exponent).sum(), x);
    CHECK(std::isnan(slope.at({0})));
    CHECK(slope.at({1}) == Approx(exponent * std::pow(2, exponent - 1)));
  }
}

TEST_CASE("A power's gradient is in range where only a product on the way is not") {
  const Tensor g = tensor({1e37F});
  const Tensor a = tensor({1.01F}).set_stop_gradient(false), b = tensor({500.F}).set_stop_gradient(false);
  const double base = a.item(), log = std::log(base);
  CHECK(grad({pow(a, b)}, {b}, {.grad_outputs = {g}})[0].item() ==
        Approx(1e37 * std::pow(base, 500) * log).epsilon(1e-4));
  const Tensor x = tensor({-1e-13F, 1e-13F}).set_stop_gradient(false);
  const Tensor slope = grad({pow(x, -2)}, {x}, {.grad_outputs = {full({2}, 1e-5)}})[0];
  CHECK(slope.at({0}) == Approx(2e34));
  CHECK(slope.at({1}) == Approx(-2e34));
}

TEST_CASE("A gradient of zero stays zero where the power overflows") {
  const Tensor a = tensor({1e30F, 1e-30F}).set_stop_gradient(false), b = tensor({4.F, -4.F}).set_stop_gradient(false);
  for (const Tensor& slope : grad({pow(a, b)}, {a, b}, {.grad_outputs = {zeros({2})}}))
    CHECK(slope.to_vector<float>() == std::vector<float>{0, 0});
  CHECK(grad({pow(a, 4)}, {a}, {.grad_outputs = {zeros({2})}})[0].to_vector<float>() == std::vector<float>{0, 0});
}

TEST_CASE("A number's power has its gradient in range where the power is not, from either side") {
  const Tensor x = tensor({-1e20F, 1e20F, 1e-23F, -1e-20F}).set_stop_gradient(false);
  const Tensor g = tensor({1e-30F, 1e-30F, 1e38F, 1e38F});
  const std::vector<float> slope = grad({pow(x, 3)}, {x}, {.grad_outputs = {g}})[0].to_vector<float>();
  const std::vector<double> want{3e10, 3e10, 3e-8, 3e-2};
  for (std::size_t i = 0; i < want.size(); ++i) CHECK(slope[i] == Approx(want[i]).epsilon(1e-6));
}

TEST_CASE("Derivatives of a power's gradient do not read the power, which may have changed") {
  const Tensor a = tensor({2.}, float64).set_stop_gradient(false), b = tensor({3.}, float64).set_stop_gradient(false);
  const Tensor g = tensor({1.}, float64).set_stop_gradient(false);
  Tensor y = pow(a, b);
  const Tensor slope = grad({y}, {b}, {.grad_outputs = {g}, .create_graph = true})[0];
  y.detach().fill(0);
  CHECK(grad(slope, g).item() == Approx(8 * std::log(2.)));
}

TEST_CASE("Second derivatives of tensor powers at base 0 are the limits, from either side") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  Tensor a = zeros({4}, float64).set_stop_gradient(false);
  Tensor b = tensor({.5, 1., 2., 3.}, float64).set_stop_gradient(false);
  const auto first = grad({pow(a, b)}, {a, b}, {.create_graph = true});
  const std::vector<double> mixed{-kInf, -kInf, 0, 0};  // a^(b - 1) (b log a + 1)
  CHECK(grad(sum(first[0]), b, {.retain_graph = true}).to_vector<double>() == mixed);
  CHECK(grad(sum(first[1]), a, {.retain_graph = true}).to_vector<double>() == mixed);
  CHECK(grad(sum(first[0]), a, {.retain_graph = true}).to_vector<double>() == std::vector<double>{-kInf, 0, 2, 0});
  CHECK(grad(sum(first[1]), b).to_vector<double>() == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("Tensor powers have right derivatives to fourth order") {
  const Tensor a = tensor({.5, 1.5}, float64), b = tensor({1.5, -.5}, float64);
  const std::function<Tensor(const Tensor&, const Tensor&)> power = [](const Tensor& x, const Tensor& y) {
    return pow(x, y);
  };
  const auto report = check_grads(power, a, b, {.order = 4});
  INFO(report.text);
  CHECK(report.ok);
}

}  // namespace dygrad::testing
