#include <cmath>
#include <limits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// x^3 with a slip in its derivative.
struct WrongCube {
  static constexpr std::string_view name = "wrong_cube";
  Tensor forward(const Tensor& x) const { return x * x * x; }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const { return {g * saved[0] * saved[0] * 2.}; }
};

/// x^2 whose first derivative is right, but cut from the graph, so that the second is zero.
struct WrongSecond {
  static constexpr std::string_view name = "wrong_second";
  Tensor forward(const Tensor& x) const { return x * x; }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const { return {g * saved[0].detach() * 2.}; }
};

/// 2 x that reads its input's memory as if it were dense.
struct IgnoresStrides {
  static constexpr std::string_view name = "ignores_strides";
  Tensor forward(const Tensor& x) const { return x * 2.; }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    return {g * (saved[0].is_contiguous() ? 2. : 3.)};
  }
};

const Tensor& sample() {
  static const Tensor x = tensor({{0.5, -1.25}, {2., 0.75}}, float64);
  return x;
}

}  // namespace

TEST_CASE("right derivatives pass in both modes and to order three") {
  const auto f = [](const Tensor& a, const Tensor& b) { return exp(a * 0.3) * b + a * a * a; };
  for (const bool full : {true, false}) {
    for (const int order : {1, 2, 3}) {
      CheckGradsOptions options;
      options.order = order;
      options.full = full;
      options.step = 1e-4;
      CHECK_THAT(check_grads(f, sample().select(0, 0), sample().select(0, 1), options), GradsAgree());
    }
  }
}

TEST_CASE("a wrong derivative is reported with input, element, analytic and numeric value") {
  const CheckGradsReport report = check_grads([](const Tensor& x) { return apply(WrongCube{}, x); }, sample());
  CHECK_FALSE(report);
  REQUIRE(report.mismatches.size() == 4);  // diagonal elements; strided inputs give the same
  const GradMismatch& first = report.mismatches.front();
  CHECK(first.order == 1);
  CHECK(first.input == "inputs[0]");
  CHECK(first.element == std::vector<std::int64_t>{0, 0});
  CHECK(first.output == std::vector<std::int64_t>{0, 0});
  CHECK(report.mismatches[1].output == std::vector<std::int64_t>{0, 1});
  CHECK(first.analytic == Approx(2 * 0.25));
  CHECK(first.numeric == Approx(3 * 0.25));
  CHECK(report.worst_error == Approx(4).epsilon(1e-6));
  CHECK_THAT(report.text, ContainsSubstring("8 of 32 derivatives disagree") && ContainsSubstring("inputs[0]") &&
                              ContainsSubstring("[0, 0]") && ContainsSubstring("fix:"));
}

TEST_CASE("fast mode finds a wrong derivative too") {
  CHECK_FALSE(check_grads([](const Tensor& x) { return apply(WrongCube{}, x); }, sample(), {.full = false}).ok);
}

TEST_CASE("a wrong second derivative shows only at order two") {
  const auto f = [](const Tensor& x) { return apply(WrongSecond{}, x); };
  CHECK(check_grads(f, sample(), {.order = 1}).ok);
  const CheckGradsReport report = check_grads(f, sample(), {.order = 2});
  CHECK_FALSE(report.ok);
  CHECK(report.mismatches.front().order == 2);
  CHECK_THAT(report.text, ContainsSubstring("order 2 by inputs[0] is 0 everywhere") && ContainsSubstring("detach()"));
}

TEST_CASE("a vjp that ignores strides is caught by the strided repeat") {
  const auto f = [](const Tensor& x) { return apply(IgnoresStrides{}, x); };
  CHECK(check_grads(f, sample(), {.non_contiguous = false}).ok);
  const CheckGradsReport report = check_grads(f, sample());
  CHECK_FALSE(report.ok);
  CHECK_THAT(report.mismatches.front().input, ContainsSubstring("strided"));
}

TEST_CASE("inputs are left as they were, and must be float64") {
  const Tensor x = sample().clone();
  const std::uint64_t version = x.version();
  CHECK(check_grads([](const Tensor& v) { return sum(v * v); }, x).ok);
  CHECK(x.version() == version);
  CHECK(x.stop_gradient());
  CHECK_THROWS_MATCHES(check_grads([](const Tensor& v) { return v * 2.; }, ones({2})), DtypeError,
                       MessageContains("check_grads", "float32"));
}

TEST_CASE("the matcher prints the report of a failing check") {
  const CheckGradsReport report = check_grads([](const Tensor& x) { return apply(WrongCube{}, x); }, sample());
  CHECK_FALSE(GradsAgree().match(report));
  CHECK_THAT(Catch::StringMaker<CheckGradsReport>::convert(report), ContainsSubstring("disagree"));
}

TEST_CASE("check_grads refuses options that check nothing, and empty functions") {
  const Tensor x = tensor({2.}, float64);
  const auto f = [](const Tensor& t) { return t * t; };
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  for (const int order : {-3, 0, 17, 2147483646})
    CHECK_THROWS_MATCHES(check_grads(f, x, {.order = order}), InvalidArgument, MessageContains("order"));
  for (const double step : {0., -1., inf, nan})
    CHECK_THROWS_MATCHES(check_grads(f, x, {.step = step}), InvalidArgument, MessageContains("step"));
  for (const double tolerance : {-1., inf, nan}) {
    CHECK_THROWS_MATCHES(check_grads(f, x, {.absolute = tolerance}), InvalidArgument, MessageContains("tolerance"));
    CHECK_THROWS_MATCHES(check_grads(f, x, {.relative = tolerance}), InvalidArgument, MessageContains("tolerance"));
  }
  CHECK_THROWS_MATCHES(check_grads(DifferentiableFunction{}, std::span<const Tensor>(&x, 1)), InvalidArgument,
                       MessageContains("empty"));
  CHECK_THROWS_MATCHES(check_grads(std::function<Tensor(const Tensor&)>{}, x), InvalidArgument,
                       MessageContains("empty"));
  CHECK_THROWS_MATCHES(check_grads(std::function<Tensor(const Tensor&, const Tensor&)>{}, x, x), InvalidArgument,
                       MessageContains("empty"));
}

TEST_CASE("check_grads' worst error is NaN once one is") {
  const auto report = check_grads([](const Tensor& t) { return log(t); }, tensor({-1., 2.}, float64));
  CHECK_FALSE(report);
  CHECK(std::isnan(report.worst_error));
}

TEST_CASE("check_grads lets what the function throws leave as it is, and names itself where memory is short") {
  const Tensor x = tensor({2.}, float64);
  CHECK_THROWS_AS(check_grads([](const Tensor&) -> Tensor { throw std::length_error("mine"); }, x), std::length_error);
  CHECK(for_each_failing_allocation([&] { (void)check_grads([](const Tensor& t) { return t * t; }, x, {.order = 2}); },
                                    [](std::int64_t, bool) {}) > 0);
}
