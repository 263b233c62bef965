#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/autograd/ops/unary_cases.h>

namespace dygrad::testing {

using Real = long double;

namespace {
Real sg(Real x) { return 1 / (1 + std::exp(-x)); }
Real normal_distribution(Real x) { return std::erfc(-x / std::sqrt(Real(2))) / 2; }
Real normal_density(Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(Real(-1))); }
Real gelu_inner(Real x) { return std::sqrt(2 / std::acos(Real(-1))) * (x + Real(0.044715) * x * x * x); }
Real gelu_inner_slope(Real x) { return std::sqrt(2 / std::acos(Real(-1))) * (1 + 3 * Real(0.044715) * x * x); }
Real sech2(Real x) { return 1 / (std::cosh(x) * std::cosh(x)); }

double slope_at(Tensor (*f)(const Tensor&), double at) {
  Tensor x = full({1}, at, float64).set_stop_gradient(false);
  f(x).backward(ones({1}, float64));
  return x.grad().item();
}
}  // namespace

TEST_CASE("Activations have the values and derivatives of their formulas, to second order") {
  const std::vector<double> any{-4.5, -2, -0.75, -0.25, 0.25, 0.75, 2, 3.5, 6.5, 26};
  const std::vector<double> smooth{-4.5, -2, -0.75, -0.25, 0.25, 0.75, 2, 3.5};
  const auto step = [](Real x) -> Real { return x > 0; };
  const UnaryCase cases[] = {
      {"relu", relu, [](Real x) { return x > 0 ? x : 0; }, step, any},
      {"relu6", [](const Tensor& x) { return relu6(x); }, [](Real x) -> Real { return x < 0   ? 0
                                                                                      : x > 6 ? 6
                                                                                              : x; },
       [](Real x) -> Real { return x > 0 && x < 6; }, any},
      {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }, [](Real x) { return x > 0 ? x : Real(0.02) * x; },
       [](Real x) -> Real { return x > 0 ? 1 : Real(0.02); }, any},
      {"leaky_relu, alpha -0.5", [](const Tensor& x) { return leaky_relu(x, -0.5); },
       [](Real x) { return x > 0 ? x : -x / 2; }, [](Real x) -> Real { return x > 0 ? 1 : -0.5; }, any},
      {"elu", [](const Tensor& x) { return elu(x); }, [](Real x) { return x > 0 ? x : std::expm1(x); },
       [](Real x) { return x > 0 ? 1 : std::exp(x); }, any},
      {"selu", [](const Tensor& x) { return selu(x); },
       [](Real x) { return Real(1.0507009873554805) * (x > 0 ? x : Real(1.6732632423543772) * std::expm1(x)); },
       [](Real x) { return Real(1.0507009873554805) * (x > 0 ? 1 : Real(1.6732632423543772) * std::exp(x)); }, any},
      {"sigmoid", sigmoid, sg, [](Real x) { return sg(x) * sg(-x); }, smooth},
      {"logsigmoid", logsigmoid, [](Real x) { return -std::log1p(std::exp(-x)); }, [](Real x) { return sg(-x); },
       smooth},
      {"tanh_shrink", tanh_shrink, [](Real x) { return x - std::tanh(x); },
       [](Real x) { return std::tanh(x) * std::tanh(x); }, smooth},
      {"stanh", [](const Tensor& x) { return stanh(x); },
       [](Real x) { return Real(1.7159) * std::tanh(Real(0.67) * x); },
       [](Real x) { return Real(1.7159) * Real(0.67) * sech2(Real(0.67) * x); }, smooth},
      {"hard_sigmoid", [](const Tensor& x) { return hard_sigmoid(x); },
       [](Real x) -> Real { return x < -2.5  ? 0
                                   : x > 2.5 ? 1
                                             : x / 5 + Real(0.5); },
       [](Real x) -> Real { return x > -2.5 && x < 2.5 ? Real(0.2) : 0; }, any},
      {"swish", [](const Tensor& x) { return swish(x, 1.5); }, [](Real x) { return x * sg(1.5L * x); },
       [](Real x) { return sg(1.5L * x) + 1.5L * x * sg(1.5L * x) * sg(-1.5L * x); }, smooth},
      {"silu", silu, [](Real x) { return x * sg(x); }, [](Real x) { return sg(x) + x * sg(x) * sg(-x); }, smooth},
      {"hard_swish", [](const Tensor& x) { return hard_swish(x); },
       [](Real x) -> Real { return x < -3  ? 0
                                   : x > 3 ? x
                                           : x * (x + 3) / 6; },
       [](Real x) -> Real { return x < -3  ? 0
                                   : x > 3 ? 1
                                           : (2 * x + 3) / 6; }, any},
      {"mish", mish, [](Real x) { return x * std::tanh(std::log1p(std::exp(x))); },
       [](Real x) {
         const Real softplus_x = std::log1p(std::exp(x));
         return std::tanh(softplus_x) + x * sg(x) * sech2(softplus_x);
       },
       any},
      {"brelu", [](const Tensor& x) { return brelu(x); }, [](Real x) -> Real { return x < 0    ? 0
                                                                                      : x > 24 ? 24
                                                                                               : x; },
       [](Real x) -> Real { return x > 0 && x < 24; }, any},
      {"soft_relu", [](const Tensor& x) { return soft_relu(x); }, [](Real x) { return std::log1p(std::exp(x)); }, sg,
       smooth},
      {"softplus", softplus, [](Real x) { return std::log1p(std::exp(x)); }, sg, smooth},
      {"softsign", softsign, [](Real x) { return x / (1 + std::fabs(x)); },
       [](Real x) { return 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))); }, smooth},
      {"thresholded_relu", [](const Tensor& x) { return thresholded_relu(x); },
       [](Real x) -> Real { return x > 1 ? x : 0; }, [](Real x) -> Real { return x > 1; }, any},
      {"softshrink", [](const Tensor& x) { return softshrink(x); },
       [](Real x) -> Real { return x > 0.5    ? x - 0.5L
                                   : x < -0.5 ? x + 0.5L
                                              : 0; },
       [](Real x) -> Real { return std::fabs(x) > 0.5; }, any},
      {"hard_shrink", [](const Tensor& x) { return hard_shrink(x); },
       [](Real x) -> Real { return std::fabs(x) > 0.5 ? x : 0; }, [](Real x) -> Real { return std::fabs(x) > 0.5; },
       any},
      {"gelu", [](const Tensor& x) { return gelu(x); }, [](Real x) { return x * normal_distribution(x); },
       [](Real x) { return normal_distribution(x) + x * normal_density(x); }, smooth},
      {"gelu, tanh form", [](const Tensor& x) { return gelu(x, /*approximate=*/true); },
       [](Real x) { return x / 2 * (1 + std::tanh(gelu_inner(x))); },
       [](Real x) {
         const Real u = gelu_inner(x);
         return (1 + std::tanh(u)) / 2 + x / 2 * sech2(u) * gelu_inner_slope(x);
       },
       smooth},
  };
  for (const UnaryCase& each : cases) check_unary(each);
}

// Numbers computed by hand from the formulas, to the six digits shown.
TEST_CASE("Activations take their documented values at -1, 0.5 and 3") {
  struct Row {
    std::string_view name;
    double at_minus_1, at_half, at_3;
  };
  const Row rows[] = {
      {"stanh", -1.003767, 0.554247, 1.655376},
      {"swish", -0.268941, 0.311230, 2.857722},
      {"hard_swish", -0.333333, 0.291667, 3},
      {"hard_sigmoid", 0.3, 0.6, 1},
      {"softplus", 0.313262, 0.974077, 3.048587},
      {"gelu", -0.158655, 0.345731, 2.995950},
      {"elu", -0.632121, 0.5, 3},
      {"tanh_shrink", -0.238406, 0.037883, 2.004945},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto y = activation(row.name)(tensor({-1., 0.5, 3.}, float64)).to_vector<double>();
    CHECK(std::abs(y[0] - row.at_minus_1) < 1e-6);
    CHECK(std::abs(y[1] - row.at_half) < 1e-6);
    CHECK(std::abs(y[2] - row.at_3) < 1e-6);
  }
}

TEST_CASE("Activations have their documented slopes exactly at their kinks") {
  CHECK(slope_at(relu, 0) == 0);
  for (double end : {0., 6.}) CHECK(slope_at([](const Tensor& x) { return relu6(x); }, end) == 0);
  CHECK(slope_at([](const Tensor& x) { return leaky_relu(x); }, 0) == 0.02);
  CHECK(slope_at([](const Tensor& x) { return elu(x, 0.25); }, 0) == 0.25);
  CHECK(slope_at([](const Tensor& x) { return selu(x); }, 0) == 1.0507009873554805 * 1.6732632423543772);
  for (double end : {-2.5, 2.5}) CHECK(slope_at([](const Tensor& x) { return hard_sigmoid(x); }, end) == 0);
  CHECK(slope_at([](const Tensor& x) { return hard_swish(x); }, -3) == 0);
  CHECK(slope_at([](const Tensor& x) { return hard_swish(x); }, 3) == 1);
  for (double end : {0., 24.}) CHECK(slope_at([](const Tensor& x) { return brelu(x); }, end) == 0);
  CHECK(slope_at([](const Tensor& x) { return soft_relu(x); }, 40) == 0);
  CHECK(slope_at([](const Tensor& x) { return soft_relu(x); }, 39) == 1);
  CHECK(slope_at([](const Tensor& x) { return thresholded_relu(x); }, 1) == 0);
  for (double end : {-0.5, 0.5}) {
    CHECK(slope_at([](const Tensor& x) { return softshrink(x); }, end) == 0);
    CHECK(slope_at([](const Tensor& x) { return hard_shrink(x); }, end) == 0);
  }
}

TEST_CASE("Activations stay exact far from zero") {
  const Tensor x = tensor({-800., 800.}, float64);
  const auto values = [&](Tensor (*f)(const Tensor&)) { return f(x).to_vector<double>(); };
  CHECK(values(sigmoid) == std::vector<double>{0, 1});
  CHECK(values(logsigmoid) == std::vector<double>{-800, 0});
  CHECK(values(softplus) == std::vector<double>{0, 800});
  CHECK(values(mish) == std::vector<double>{0, 800});
  CHECK(values(silu) == std::vector<double>{0, 800});
  for (Tensor (*f)(const Tensor&) : {sigmoid, logsigmoid, softplus, mish, silu}) {
    CHECK(std::isfinite(slope_at(f, -800)));
    CHECK(std::isfinite(slope_at(f, 800)));
  }
  const double tail = gelu(tensor({-10.}, float64)).item();
  CHECK(std::abs(tail / -7.6198530241605260e-23 - 1) < 1e-13);  // -10 erfc(10 / sqrt 2) / 2; erfc is steep there
}

TEST_CASE("Every activation passes NaN on") {
  const Tensor x = tensor({std::nan("")}, float64);
  for (const std::string_view name : activation_names()) {
    CAPTURE(name);
    CHECK(std::isnan(activation(name)(x).item()));
  }
}

TEST_CASE("Second derivatives of piecewise linear activations are zeros, not missing") {
  Tensor x = tensor({-1., 2.}, float64).set_stop_gradient(false);
  const Tensor first = grad({relu(x)}, {x}, {.create_graph = true})[0];
  CHECK(grad({first}, {x})[0].to_vector<double>() == std::vector<double>{0, 0});
}

TEST_CASE("Activations refuse arguments that make no sense") {
  const Tensor x = ones({2});
  CHECK_THROWS_MATCHES(brelu(x, 2, 1), InvalidArgument, MessageContains("brelu", "t_min <= t_max", "2 and 1"));
  CHECK_THROWS_MATCHES(hard_shrink(x, -1), InvalidArgument, MessageContains("hard_shrink", "threshold", "-1"));
  CHECK_THROWS_MATCHES(softshrink(x, -1), InvalidArgument, MessageContains("softshrink", "lambda", "-1"));
  CHECK_THROWS_MATCHES(relu(tensor({1})), DtypeError, MessageContains("relu", "int64"));
  CHECK_THROWS_MATCHES(leaky_relu(tensor({1}), 0), DtypeError, MessageContains("leaky_relu: ", "int64"));
}

TEST_CASE("Activations refuse numbers that are not finite in the dtype, or divide by 0") {
  const Tensor x = ones({2}), wide = ones({2}, float64);
  const auto refuses = [](const auto& f, const char* argument) {
    CHECK_THROWS_MATCHES(f(), InvalidArgument, MessageContains(argument, "fix:"));
  };
  for (const double bad : {kNaN, kInfinity, -kInfinity, 1e39}) {
    CAPTURE(bad);
    refuses([&] { return leaky_relu(x, bad); }, "alpha");
    refuses([&] { return elu(x, bad); }, "alpha");
    refuses([&] { return selu(x, bad, 1); }, "scale");
    refuses([&] { return selu(x, 1, bad); }, "alpha");
    refuses([&] { return stanh(x, bad, 1); }, "scale_a");
    refuses([&] { return stanh(x, 1, bad); }, "scale_b");
    refuses([&] { return hard_sigmoid(x, bad, 0); }, "slope");
    refuses([&] { return hard_sigmoid(x, 1, bad); }, "offset");
    refuses([&] { return swish(x, bad); }, "beta");
    refuses([&] { return hard_swish(x, 6, bad, 3); }, "scale");
    refuses([&] { return hard_swish(x, 6, 6, bad); }, "offset");
  }
  CHECK(leaky_relu(wide, 1e39).defined());  // which float64 holds
  for (const double zero : {0., -0., 1e-46}) refuses([&] { return hard_swish(x, 6, zero, 3); }, "scale");
  refuses([&] { return relu6(x, kNaN); }, "threshold");
  refuses([&] { return thresholded_relu(x, kNaN); }, "threshold");
  refuses([&] { return soft_relu(x, kNaN); }, "threshold");
  refuses([&] { return hard_shrink(x, kNaN); }, "threshold");
  refuses([&] { return hard_swish(x, kNaN, 6, 3); }, "threshold");
  refuses([&] { return brelu(x, kNaN, 1); }, "t_min");
  refuses([&] { return softshrink(x, kNaN); }, "lambda");
  refuses([&] { return softshrink(x, kInfinity); }, "lambda");
}

TEST_CASE("A slope that is 0 in the dtype is 0") {
  const Tensor x = tensor({-kInfinity, -1., 2.}, float32);
  CHECK(leaky_relu(x, 1e-50).to_vector<double>() == std::vector<double>{0, 0, 2});
  CHECK(swish(x, 1e-50).to_vector<double>() == std::vector<double>{-kInfinity, -.5, 1});
}

TEST_CASE("derivatives of stanh and selu are finite where their factors' product alone is not") {
  const Tensor x = tensor({-1.F, 0.F, 1.F}).set_stop_gradient(false);
  const Tensor slope = grad({stanh(x, 1e25, 1)}, {x}, {.create_graph = true})[0];
  CHECK(grad(slope.sum(), x).to_vector<float>() == std::vector<float>{0, 0, 0});
  const Tensor far = tensor({-100.F}).set_stop_gradient(false);
  const Tensor of_selu = grad({selu(far, 3e38, 3e38)}, {far}, {.grad_outputs = {tensor({10.F})}})[0];
  const double exp_of_far = std::exp(-100.), half_unit = 0x1p-150;  // of a denormal number
  CHECK(of_selu.item() == Approx(10 * 3e38 * 3e38 * exp_of_far).epsilon(half_unit / exp_of_far + 1e-6));
}

TEST_CASE("selu's second derivative is finite where its factors' product alone is not") {
  const Tensor x = full({1}, -10, float64).set_stop_gradient(false);
  const auto slope = static_cast<double>(std::exp(-10.L) * 1.797e308L * 1.5L);
  const Tensor first = grad(selu(x, 1.5, 1.797e308), x, {.create_graph = true});
  CHECK(std::abs(grad(first, x).at({0}) / slope - 1) <= 8 * std::numeric_limits<double>::epsilon());
}

}  // namespace dygrad::testing
