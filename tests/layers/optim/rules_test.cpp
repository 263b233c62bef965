// Trajectories of the update rules: p = 1, rate 0.1, gradients 0.5, -0.25, 1. Numbers from numpy in float64.
#include <cmath>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/sgd.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Values after each of the three gradients. Elements beyond one vector register take the same way.
template <class O>
std::vector<double> trajectory(typename O::Options options, DType dtype = float64, std::int64_t size = 1) {
  Parameter p(ones({size}, dtype));
  O optimizer({p}, std::move(options));
  std::vector<double> path;
  for (double g : {0.5, -0.25, 1.0}) {
    p.set_grad(full({size}, g, dtype));
    optimizer.step();
    path.push_back(p.at({size - 1}));
    CHECK(p.at({0}) == path.back());
  }
  return path;
}

/// The published numbers have nine digits; a float32 run rounds about ten times per step.
void check_path(const std::vector<double>& path, const std::vector<double>& expected, double tolerance = 5.1e-10) {
  REQUIRE(path.size() == expected.size());
  for (std::size_t i = 0; i < path.size(); ++i) CHECK_THAT(path[i], WithinAbs(expected[i], tolerance));
}
constexpr double kExact = 1e-15;  // a few roundings of numbers near 1
constexpr double kFloat32 = 30 * 6e-8;

}  // namespace

TEST_CASE("SGD follows its formula", "[smoke]") {
  check_path(trajectory<SGD>({.learning_rate = 0.1}), {.95, .975, .875}, kExact);
  check_path(trajectory<SGD>({.learning_rate = 0.1}, float32, 100'003), {.95, .975, .875}, kFloat32);
}

TEST_CASE("Momentum follows its formula, with and without Nesterov") {
  check_path(trajectory<Momentum>({.learning_rate = 0.1}), {.95, .93, .812}, kExact);
  check_path(trajectory<Momentum>({.learning_rate = 0.1, .use_nesterov = true}), {.905, .912, .7058}, kExact);
  check_path(trajectory<Momentum>({.learning_rate = 0.1}, float32, 37), {.95, .93, .812}, kFloat32);
}

TEST_CASE("Adam follows both forms of epsilon") {
  const auto adam = [](double epsilon, AdamEpsilon form) {
    return trajectory<Adam>({.learning_rate = 0.1, .epsilon = epsilon, .epsilon_form = form});
  };
  check_path(adam(1e-8, AdamEpsilon::corrected), {.900000002, .873366299, .807555140});
  check_path(adam(1e-8, AdamEpsilon::uncorrected), {.900000063, .873366374, .807555232});
  check_path(adam(.1, AdamEpsilon::corrected), {.916666667, .895411060, .838240766});
  check_path(adam(.1, AdamEpsilon::uncorrected), {.986347294, .982347710, .964848715});
  check_path(trajectory<Adam>({.learning_rate = 0.1}, float32, 70'001), {.900000002, .873366299, .807555140}, kFloat32);
}

TEST_CASE("AdamW decays before it steps, and only where asked") {
  check_path(trajectory<AdamW>({.learning_rate = 0.1}), {.899000002, .871467299, .804784672});
  check_path(
      trajectory<AdamW>({.learning_rate = 0.1, .apply_decay_param_fun = [](const std::string&) { return false; }}),
      {.900000002, .873366299, .807555140});
}

TEST_CASE("Adam refuses impossible options") {
  const std::vector<Parameter> p{Parameter(ones({1}))};
  CHECK_THROWS_MATCHES(Adam(p, {.beta1 = 1}), InvalidArgument, MessageContains("Adam", "beta1 < 1", "got 1"));
  CHECK_THROWS_AS(AdamW(p, {.beta2 = -0.5}), InvalidArgument);
  CHECK_THROWS_AS(Adam(p, {.epsilon = -1}), InvalidArgument);
  CHECK_THROWS_MATCHES(Adam(p, {.learning_rate = -1}), InvalidArgument, MessageContains("learning_rate", "-1"));
}

TEST_CASE("parameters and gradients in any memory order are updated alike") {
  const Tensor values = arange(24, float64).reshape({2, 3, 2, 2});
  const Tensor grads = arange(24, 48, 1, float64).reshape({2, 3, 2, 2});
  const auto update = [&](const Tensor& value, const Tensor& grad) {
    Parameter p(value);
    p.set_grad(grad);
    Momentum optimizer({p}, {.learning_rate = 0.1});
    optimizer.step();
    optimizer.step();
    return p.to_vector<double>();
  };
  const auto row_major = [](const Tensor& x) { return x.clone(); };
  const auto channels_last = [](const Tensor& x) { return x.contiguous(MemoryFormat::channels_last).clone(); };
  const auto with_gaps = [](const Tensor& x) {
    const Tensor wide = zeros({2, 3, 2, 4}, float64);
    Tensor window = view::slice(wide, 3, 0, 4, 2);
    window.set_value(x);
    return window;
  };
  const std::vector<double> expected = update(row_major(values), row_major(grads));
  CHECK(update(channels_last(values), row_major(grads)) == expected);
  CHECK(update(row_major(values), channels_last(grads)) == expected);
  CHECK(update(with_gaps(values), row_major(grads)) == expected);
  CHECK(update(row_major(values), with_gaps(grads)) == expected);
}
