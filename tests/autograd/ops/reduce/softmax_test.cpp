#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor rows() { return tensor({{1., -2., 3.}, {.5, .25, -1.}}, float64); }

// A line of three exponentials, their sum, and a few products of numbers below 8: 64 roundings are plenty.
constexpr double kTolerance = 64 * kEpsilon64;
}  // namespace

// Golden numbers: torch 1.13 in float64, loss (softmax(x, 1)^2 * [[1..3], [4..6]]).sum(), then the sum of the squared
// gradient.
TEST_CASE("softmax and its first two derivatives agree with torch") {
  const Tensor x = leaf(rows());
  const Tensor y = softmax(x, 1);
  CHECK(distance(y, tensor({{0.11849965453500959, 0.005899750401902781, 0.8756005950630876},
                            {0.4995177298132149, 0.3890247991365822, 0.11145747105020273}},
                           float64)) <= kTolerance);
  const Tensor loss = sum(y * y * (arange(6, float64).reshape({2, 3}) + 1.));
  const Tensor first = grad(loss, x, {.create_graph = true});
  CHECK(distance(first, tensor({{-0.5203654791055671, -0.027166480234222665, 0.5475319593397893},
                                {0.16859821403899877, 0.09010908850461424, -0.25870730254361274}},
                               float64)) <= kTolerance);
  CHECK(distance(grad(sum(first * first), x), tensor({{0.6526814920775432, 0.01055907640124967, -0.6632405684787929},
                                                      {0.13164575315698593, -0.16207010775874797, 0.03042435460176201}},
                                                     float64)) <= kTolerance);
}

TEST_CASE("log_softmax agrees with torch along another axis") {
  CHECK(distance(log_softmax(rows(), 0), tensor({{-0.4740769841801067, -2.350206558916747, -0.01814992791780978},
                                                 {-0.9740769841801067, -0.10020655891674712, -4.0181499279178094}},
                                                float64)) <= kTolerance);
}

TEST_CASE("softmax along any axis of any strides is the same, and keeps the memory order") {
  const Tensor x = spread_values({2, 3, 4, 5}, 1);
  for (int axis = 0; axis < 4; ++axis) {
    const Tensor y = softmax(x, axis);
    CHECK(distance(sum(y, {axis}), ones_like(sum(y, {axis}))) <= 8 * kEpsilon64);
    CHECK(same(softmax(strided(x), axis), y));
    CHECK(same(softmax(channels_last(x), axis - 4), y));
    CHECK(same(log_softmax(channels_last(x), axis), log_softmax(x, axis)));
    CHECK(distance(softmax(x.to(float32), axis), y) <= 8 * kEpsilon32);
  }
  CHECK(softmax(channels_last(x)).is_contiguous(MemoryFormat::channels_last));
}

TEST_CASE("softmax does not overflow, and NaN stays in its line") {
  const Tensor y = softmax(tensor({{1000., 1000.}, {kNaN, 0.}, {-kInfinity, 0.}}, float64));
  CHECK(same(y, tensor({{.5, .5}, {kNaN, kNaN}, {0., 1.}}, float64)));
  CHECK(log_softmax(tensor({-1000., 0.}, float64)).at({0}) == -1000);
}

TEST_CASE("logarithms of probabilities near one keep their digits") {
  for (const DType dtype : {float32, float64}) {
    const double rounding = 16 * (dtype == float32 ? kEpsilon32 : kEpsilon64);
    for (const double gap : {1., 5., 15., 20., 40., 80.}) {
      for (const std::int64_t classes : {3, 100}) {
        std::vector<double> logits(static_cast<std::size_t>(classes), -gap);
        logits[1] = 0;
        const Tensor x = kernel::cast(from_vector(logits, {1, classes}), dtype);
        const double others = static_cast<double>(classes - 1) * std::exp(-gap);
        CAPTURE(name_of(dtype), gap, classes);
        CHECK(std::abs(log_softmax(x).at({0, 1}) / -std::log1p(others) - 1) <= rounding);
        CHECK(std::abs(logsumexp(x, {1}).at({0}) / std::log1p(others) - 1) <= rounding);
      }
    }
  }
  CHECK(distance(logsumexp(tensor({{0., -40.}, {1., 1.}}, float64), {1}),
                 tensor({std::exp(-40.), 1 + std::log(2.)}, float64)) <= 4 * kEpsilon64);
}

TEST_CASE("softmax of a number is one, of nothing nothing") {
  CHECK(softmax(tensor(3.)).item() == 1);
  CHECK(log_softmax(tensor(3.)).item() == 0);
  CHECK(softmax(zeros({0, 3}), 0).shape() == Shape(0, 3));
  CHECK_THROWS_MATCHES(softmax(zeros({2}), 1), ShapeError, MessageContains("softmax", "axis out of range"));
  CHECK_THROWS_MATCHES(log_softmax(arange(2)), DtypeError, MessageContains("log_softmax", "int64"));
}

TEST_CASE("softmax and log_softmax have right derivatives to second order") {
  const Tensor x = spread_values({2, 3, 2}, 1), k = spread_values({2, 3, 2}, 2);
  for (int axis = 0; axis < 3; ++axis) {
    CHECK_THAT(check_grads([&](const Tensor& t) { return softmax(t, axis) * k; }, x, {.order = 2}), GradsAgree());
    CHECK_THAT(check_grads([&](const Tensor& t) { return log_softmax(t, axis) * k; }, x, {.order = 2}), GradsAgree());
  }
}

TEST_CASE("softmax, log_softmax and cross-entropies do not depend on the number of threads") {
  // Short lines, and lines across memory, are cut into shares of which some end with a single line.
  const int before = num_threads();
  for (const DType dtype : {float32, float64}) {
    for (const Shape& shape : {Shape(8193, 10), Shape(4099, 31), Shape(1, 40, 3001), Shape(2003, 33)}) {
      CAPTURE(shape);
      const Tensor x = spread_values(shape, 3).to(dtype) * 4.;
      const Tensor labels = zeros(
          [&] {
            Shape without = shape;
            without.erase(1);
            return without;
          }(),
          int64);
      const auto results = [&](int threads) {
        set_num_threads(threads);
        const Tensor losses = softmax_with_cross_entropy(x, labels, {.axis = 1, .reduction = Reduction::none});
        return std::vector<Tensor>{softmax(x, 1), log_softmax(x, 1), losses};
      };
      const std::vector<Tensor> one = results(1);
      for (const int threads : {2, 3, 5, 7, 8}) {
        const std::vector<Tensor> many = results(threads);
        for (std::size_t i = 0; i < one.size(); ++i) CHECK(same(one[i], many[i]));
      }
    }
  }
  set_num_threads(before);
}

// One class `gap` above the others, which are equal: with q = exp(-gap), s = 1 + (n - 1) q, p[0] = 1 / s, p[1] = q / s.
// Derivatives of logsumexp, all orders, are the cumulants of that distribution: p0 (1 - p0), p0 (1 - p0) (1 - 2 p0).
TEST_CASE("huge gradients give finite products of softmax's Jacobian where these are in range") {
  for (const bool is_along : {true, false}) {
    const auto turned = [&](const Tensor& t) { return is_along ? t.reshape({1, 2}) : t.reshape({2, 1}); };
    const int axis = is_along ? 1 : 0;
    const Tensor x = turned(tensor({std::log(.3F), std::log(.7F)})).set_stop_gradient(false);
    const auto slope = [&](const Tensor& y, float a, float b) {
      return grad({y}, {x}, {.grad_outputs = {turned(tensor({a, b}))}})[0].to_vector<double>();
    };
    const std::vector<double> of_softmax = slope(softmax(x, axis), 3e38F, -8e37F);
    CHECK(of_softmax[0] == Approx(.21 * 3.8e38).epsilon(1e-5));
    CHECK(of_softmax[1] == Approx(-.21 * 3.8e38).epsilon(1e-5));
    const std::vector<double> of_log = slope(log_softmax(x, axis), 2e38F, 2e38F);
    CHECK(of_log[0] == Approx(8e37).epsilon(1e-5));
    CHECK(of_log[1] == Approx(-8e37).epsilon(1e-5));
  }
}

TEST_CASE("an infinite gradient stays infinite in softmax's, whatever the layout") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {float32, float64}) {
    for (const std::int64_t classes : {16, 40, 100, 3000}) {
      for (const bool is_along : {true, false}) {
        const int axis = is_along ? 1 : 0;
        const Shape shape = is_along ? Shape(1, classes) : Shape(classes, 9);
        INFO(name_of(dtype) << " " << shape);
        const Tensor x = zeros(shape, dtype).set_stop_gradient(false);
        Tensor g = ones(shape, dtype);
        g.select(axis, 5).fill(kInf);
        for (const Tensor& y : {softmax(x, axis), log_softmax(x, axis)}) {
          const Tensor slope = grad({y}, {x}, {.grad_outputs = {g}})[0];
          CHECK(all(slope.select(axis, 4) == -kInf));
          CHECK(all(slope.select(axis, classes - 1) == -kInf));
        }
      }
    }
  }
}

TEST_CASE("derivatives of softmax and its relatives keep their digits where one class dominates") {
  for (const DType dtype : {float32, float64}) {
    for (const double gap : {0., .5, 5., 12., 20., 38., 80.}) {
      for (const std::int64_t classes : {2, 3, 40, 2000}) {
        for (const std::int64_t lines : {1, 9}) {
          const double q = std::exp(-gap), others = static_cast<double>(classes - 1) * q, s = 1 + others;
          const double spread = others / s / s, own = q / s / s * (s - q);
          std::vector<double> logits(static_cast<std::size_t>(lines * classes));
          for (std::size_t i = 0; i < logits.size(); i += static_cast<std::size_t>(classes)) logits[i] = gap;
          // By columns, where lines are neighbours, and by rows.
          for (const bool by_columns : {false, true}) {
            const Tensor rows = leaf(from_vector(logits, {lines, classes}).to(dtype));
            const Tensor x = by_columns ? leaf(rows.detach().transpose(0, 1).clone()) : rows;
            const int axis = by_columns ? 0 : 1;
            const auto first_class = [&](const Tensor& t, std::int64_t k) { return t.select(axis, k); };
            const auto value = [&](const Tensor& t) { return t.to(float64).at({0}); };
            const auto along = [&](const Tensor& y, std::int64_t k) {
              return first_class(grad(sum(y), x, {.create_graph = true}), k);
            };
            CAPTURE(name_of(dtype), gap, classes, lines, by_columns);
            // A few roundings of each op, and of exp(x) those of x; blocks of sums have up to 64.
            const double rounding = (64 + gap) * (dtype == float32 ? kEpsilon32 : kEpsilon64);
            const double tiny = dtype == float32 ? 0x1p-120 : 0x1p-1000;
            const auto agrees = [&](double got, double want) {
              return std::abs(got - want) <= rounding * std::abs(want) + tiny;
            };
            const Tensor y = first_class(softmax(x, axis), 0);
            CHECK(agrees(value(along(y, 0)), spread));
            CHECK(agrees(value(along(y, 1)), -spread / static_cast<double>(classes - 1)));
            CHECK(agrees(value(along(first_class(softmax(x, axis), 1), 1)), own));
            CHECK(std::abs(value(along(along(y, 0), 0)) - spread * (1 - 2 / s)) <= rounding * spread + tiny);
            CHECK(agrees(value(along(first_class(log_softmax(x, axis), 0), 0)), others / s));
            CHECK(agrees(value(along(along(first_class(log_softmax(x, axis), 0), 0), 0)), -spread));
            CHECK(agrees(value(along(along(logsumexp(x, {axis}), 0), 0)), spread));
            const Tensor labels = zeros({lines}, int64);
            const auto losses = [&](const Tensor& t) {
              return softmax_with_cross_entropy(t, labels, {.axis = axis, .reduction = Reduction::none});
            };
            CHECK(agrees(value(along(losses(x), 0)), -others / s));
            CHECK(agrees(value(along(along(losses(x), 0), 0)), spread));
            const auto soft = [&](const Tensor& t) {
              const Tensor is_first =
                  (arange(classes, dtype) == 0).to(dtype).reshape(by_columns ? Shape(classes, 1) : Shape(1, classes));
              return softmax_with_cross_entropy(t, is_first + zeros_like(t),
                                                {.axis = axis, .soft_label = true, .reduction = Reduction::none});
            };
            CHECK(agrees(value(along(soft(x), 0)), -others / s));
            CHECK(agrees(value(along(along(soft(x), 0), 0)), spread));
          }
        }
      }
    }
  }
}
