#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/autograd/ops/reduce/norm.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/autograd/ops/unary_cases.h>

namespace dygrad::testing {

using Real = long double;

TEST_CASE("Elementary functions have the values and derivatives of their formulas, to second order") {
  const std::vector<double> any{-2.25, -1, -0.375, 0.25, 0.75, 1.5, 3};
  const std::vector<double> positive{0.125, 0.5, 1, 2.75, 10};
  const std::vector<double> within{-0.875, -0.5, -0.125, 0.25, 0.75};
  const std::vector<double> above_one{1.125, 1.5, 2, 7};
  const auto zero = [](Real) -> Real { return 0; };
  const UnaryCase cases[] = {
      {"exp", exp, std::exp, std::exp, any},
      {"log", log, std::log, [](Real x) { return 1 / x; }, positive},
      {"log1p", log1p, std::log1p, [](Real x) { return 1 / (1 + x); }, within},
      {"expm1", expm1, std::expm1, std::exp, any},
      {"sqrt", sqrt, std::sqrt, [](Real x) { return 1 / (2 * std::sqrt(x)); }, positive},
      {"rsqrt", rsqrt, [](Real x) { return 1 / std::sqrt(x); }, [](Real x) { return -std::pow(x, Real(-1.5)) / 2; },
       positive},
      {"square", square, [](Real x) { return x * x; }, [](Real x) { return 2 * x; }, any},
      {"reciprocal", reciprocal, [](Real x) { return 1 / x; }, [](Real x) { return -1 / (x * x); }, any},
      {"abs", abs, std::fabs, [](Real x) -> Real { return x > 0 ? 1 : -1; }, any},
      {"sign", sign, [](Real x) -> Real { return x > 0 ? 1 : -1; }, zero, any},
      {"ceil", ceil, std::ceil, zero, {-1.5, 0.25, 2.75}},
      {"floor", floor, std::floor, zero, {-1.5, 0.25, 2.75}},
      {"round", round, std::round, zero, {-1.75, 0.25, 2.75}},
      {"erf", erf, std::erf, [](Real x) { return 2 / std::sqrt(std::acos(Real(-1))) * std::exp(-x * x); }, any},
      {"sin", sin, std::sin, std::cos, any},
      {"cos", cos, std::cos, [](Real x) { return -std::sin(x); }, any},
      {"tan", tan, std::tan, [](Real x) { return 1 / (std::cos(x) * std::cos(x)); }, within},
      {"asin", asin, std::asin, [](Real x) { return 1 / std::sqrt(1 - x * x); }, within},
      {"acos", acos, std::acos, [](Real x) { return -1 / std::sqrt(1 - x * x); }, within},
      {"atan", atan, std::atan, [](Real x) { return 1 / (1 + x * x); }, any},
      {"sinh", sinh, std::sinh, std::cosh, any},
      {"cosh", cosh, std::cosh, std::sinh, any},
      {"tanh", tanh, std::tanh, [](Real x) { return 1 / (std::cosh(x) * std::cosh(x)); }, any},
      {"asinh", asinh, std::asinh, [](Real x) { return 1 / std::sqrt(x * x + 1); }, any},
      {"acosh", acosh, std::acosh, [](Real x) { return 1 / std::sqrt(x * x - 1); }, above_one},
      {"atanh", atanh, std::atanh, [](Real x) { return 1 / (1 - x * x); }, within},
  };
  for (const UnaryCase& each : cases) check_unary(each);
}

TEST_CASE("abs and sign are flat at 0, and round takes halves away from it") {
  Tensor x = tensor({0., 0.}).set_stop_gradient(false);
  abs(x).backward(ones({2}));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{0, 0});
  CHECK(sign(tensor({-3., 0., 2.})).to_vector<double>() == std::vector<double>{-1, 0, 1});
  CHECK(round(tensor({-2.5, -0.5, 0.5, 1.5})).to_vector<double>() == std::vector<double>{-3, -1, 1, 2});
}

TEST_CASE("Elementary functions pass NaN and infinity on as IEEE says") {
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor x = tensor({-inf, 0., inf, std::nan("")}, float64);
  const auto values = [](const Tensor& y) { return y.to_vector<double>(); };
  CHECK(values(exp(x))[0] == 0);
  CHECK(values(exp(x))[2] == inf);
  CHECK(values(log(x))[1] == -inf);
  CHECK(std::isnan(values(log(x))[0]));
  CHECK(values(rsqrt(x))[1] == inf);
  CHECK(values(reciprocal(x))[1] == inf);
  CHECK(values(tanh(x))[0] == -1);
  for (Tensor (*f)(const Tensor&) : {exp, log, sqrt, abs, sign, ceil, sin, tanh, erf, square}) {
    CHECK(std::isnan(values(f(x))[3]));
  }
}

TEST_CASE("Functions of their output can be differentiated three times") {
  Tensor x = tensor({0.5}, float64).set_stop_gradient(false);
  Tensor y = tanh(x);
  for (int order = 0; order < 3; ++order) y = grad({y}, {x}, {.create_graph = true})[0];
  const double t = std::tanh(0.5);
  const double slope = 1 - t * t;
  CHECK(std::abs(y.item() - slope * (6 * t * t - 2)) < 1e-15);  // values near 1, a dozen roundings of 1.1e-16
}

TEST_CASE("Elementary functions name themselves when the dtype is wrong") {
  CHECK_THROWS_MATCHES(exp(tensor({1, 2})), DtypeError, MessageContains("exp", "int64"));
}

TEST_CASE("Second derivatives of asin and acos are NaN outside of the domain, however far, and atanh's goes to 0") {
  const auto second = [](Tensor (*f)(const Tensor&), double at, DType dtype) {
    const Tensor x = full({}, at, dtype).set_stop_gradient(false);
    return grad(grad(f(x), x, {.create_graph = true}), x).item();
  };
  for (const DType dtype : {float32, float64}) {
    const double most =
        dtype == float32 ? static_cast<double>(std::numeric_limits<float>::max()) : std::numeric_limits<double>::max();
    for (const double at : {2., 1e20, 1e30, most, static_cast<double>(INFINITY)}) {
      CAPTURE(at, dtype);
      for (const double x : {at, -at}) {
        CHECK(std::isnan(second(asin, x, dtype)));
        CHECK(std::isnan(second(acos, x, dtype)));
        if (at > 1e25) CHECK(std::abs(second(atanh, x, dtype)) < 1e-80);  // 2 / x^3
      }
    }
    CHECK(second(atanh, 0.5, dtype) == Approx(16. / 9).epsilon(1e-6));  // 2 x / (1 - x^2)^2
  }
}

TEST_CASE("ops name themselves and the input that is undefined") {
  const Tensor none, x = ones({2});
  const auto says = [](const char* words) {
    return MessageContains(words, "used before it was given a value", "fix: assign");
  };
  CHECK_THROWS_MATCHES(exp(none), InvalidArgument, says("exp: x "));
  CHECK_THROWS_MATCHES(tanh(none), InvalidArgument, says("tanh: x "));
  CHECK_THROWS_MATCHES(x + none, InvalidArgument, says("add: b "));
  CHECK_THROWS_MATCHES(none * x, InvalidArgument, says("mul: a "));
  CHECK_THROWS_MATCHES(maximum(none, x), InvalidArgument, says("maximum: a "));
  CHECK_THROWS_MATCHES(x < none, InvalidArgument, says("less: b "));
  CHECK_THROWS_MATCHES(where(none, x, x), InvalidArgument, says("where: condition "));
  CHECK_THROWS_MATCHES(where(x > 0, x, none), InvalidArgument, says("where: b "));
  CHECK_THROWS_MATCHES(none + 1, InvalidArgument, says("add: a "));
  CHECK_THROWS_MATCHES(none * 2, InvalidArgument, says("mul: a "));
  CHECK_THROWS_MATCHES(none / 2, InvalidArgument, says("div: a "));
  CHECK_THROWS_MATCHES(2 / none, InvalidArgument, says("div: b "));
  CHECK_THROWS_MATCHES(pow(none, 3), InvalidArgument, says("pow: a "));
  CHECK_THROWS_MATCHES(none < 1., InvalidArgument, says("less: a "));
  CHECK_THROWS_MATCHES(isnan(none), InvalidArgument, says("isnan: x "));
  CHECK_THROWS_MATCHES(isfinite(none), InvalidArgument, says("isfinite: x "));
  CHECK_THROWS_MATCHES(logical_not(none), InvalidArgument, says("logical_not: x "));
  CHECK_THROWS_MATCHES(logical_and(none, x > 0), InvalidArgument, says("logical_and: "));
  CHECK_THROWS_MATCHES(matmul(none, x), InvalidArgument, says("matmul: a "));
  CHECK_THROWS_MATCHES(matmul(x, none), InvalidArgument, says("matmul: b "));
  CHECK_THROWS_MATCHES(pad(none, {{1, 1}}), InvalidArgument, says("pad: x "));
}

TEST_CASE("reductions, normalisation and losses name the input that is undefined") {
  const Tensor none, x = ones({2, 3}), image = ones({2, 3, 4, 4});
  const auto says = [](const char* words) {
    return MessageContains(words, "used before it was given a value", "fix: assign");
  };
  CHECK_THROWS_MATCHES(sum(none), InvalidArgument, says("sum: x "));
  CHECK_THROWS_MATCHES(mean(none), InvalidArgument, says("mean: x "));
  CHECK_THROWS_MATCHES(max(none), InvalidArgument, says("max: x "));
  CHECK_THROWS_MATCHES(min(none), InvalidArgument, says("min: x "));
  CHECK_THROWS_MATCHES(argmax(none, 0), InvalidArgument, says("argmax: x "));
  CHECK_THROWS_MATCHES(var(none), InvalidArgument, says("var: x "));
  CHECK_THROWS_MATCHES(logsumexp(none), InvalidArgument, says("logsumexp: x "));
  CHECK_THROWS_MATCHES(any(none), InvalidArgument, says("any: x "));
  CHECK_THROWS_MATCHES(softmax(none, 0), InvalidArgument, says("softmax: x "));
  CHECK_THROWS_MATCHES(log_softmax(none, 0), InvalidArgument, says("log_softmax: x "));
  CHECK_THROWS_MATCHES(softmax_with_cross_entropy(none, x), InvalidArgument,
                       says("softmax_with_cross_entropy: logits "));
  CHECK_THROWS_MATCHES(softmax_with_cross_entropy(x, none), InvalidArgument,
                       says("softmax_with_cross_entropy: label "));
  CHECK_THROWS_MATCHES(batch_norm(none, Tensor(), Tensor()), InvalidArgument, says("batch_norm: x "));
  CHECK_THROWS_MATCHES(batch_norm_inference(image, none, ones({3}), none, none), InvalidArgument, says("mean "));
  CHECK_THROWS_MATCHES(batch_norm_inference(image, ones({3}), none, none, none), InvalidArgument, says("variance "));
}

TEST_CASE("every activation names itself and its input where that is undefined") {
  for (const std::string_view name : activation_names()) {
    const ActivationFunction f = activation(name);
    if (!f) continue;
    INFO(name);
    std::string text;
    try {
      (void)f(Tensor());
    } catch (const InvalidArgument& error) {
      text = error.what();
    }
    CHECK(text.find("used before it was given a value") != std::string::npos);
    CHECK_FALSE(text.starts_with("tensor:"));
  }
}

namespace {
/// Looks at its second input only.
struct Second {
  static constexpr std::string_view name = "second";
  static Tensor forward(const Tensor&, const Tensor& b) { return b.reshape({2}); }
  static Grads<2> vjp(const Tensor& g, const Saved&, NeedsGrad) { return {Tensor(), g}; }
};
struct Joined {
  static constexpr std::string_view name = "joined";
  static Tensor forward(std::span<const Tensor> all) { return all.back().reshape({Tensor().rank()}); }
  static std::vector<Tensor> vjp(const Tensor& g, const Saved&, NeedsGrad) { return {g}; }
};
}  // namespace

TEST_CASE("an op may leave inputs undefined that it does not use") {
  const Tensor none, x = ones({2});
  CHECK(apply(Second{}, none, x).shape() == Shape{2});
  CHECK_THROWS_MATCHES(apply(Second{}, x, none), InvalidArgument, MessageContains("reshape: x "));
  const Tensor given[] = {x, x}, lacking[] = {x, none};
  CHECK_THROWS_MATCHES(apply(Joined{}, given), InvalidArgument, MessageContains("tensor: used before"));
  CHECK_THROWS_MATCHES(apply(Joined{}, lacking), InvalidArgument, MessageContains("joined: inputs[1] "));
}

}  // namespace dygrad::testing
