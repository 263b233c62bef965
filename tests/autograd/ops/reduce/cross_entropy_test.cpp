#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads_matcher.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/autograd/ops/tensors.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor rows() { return tensor({{1., -2., 3.}, {.5, .25, -1.}}, float64); }

// A line of three exponentials and their logarithm.
constexpr double kTolerance = 64 * kEpsilon64;
}  // namespace

// Golden numbers: torch 1.13 in float64, torch.nn.functional.cross_entropy and the gradient of its mean.
TEST_CASE("cross-entropy with class numbers agrees with torch") {
  const Tensor x = leaf(rows());
  const Tensor label = tensor({2, 0});
  const Tensor losses = softmax_with_cross_entropy(x, label, {.reduction = Reduction::none});
  CHECK(distance(losses, tensor({0.13284523372757556, 0.6941121864019144}, float64)) <= kTolerance);
  softmax_with_cross_entropy(x, label).backward();
  CHECK(distance(x.grad(), tensor({{0.05924982726750479, 0.00294987520095139, -0.062199702468456186},
                                   {-0.2502411350933925, 0.19451239956829108, 0.055728735525101374}},
                                  float64)) <= kTolerance);
}

TEST_CASE("cross-entropy takes labels with or without the class dimension, on any axis and strides") {
  const Tensor x = spread_values({2, 4, 3, 2}, 1);
  const Tensor label = kernel::cast(small_integers({2, 3, 2}, 2) + 3., int64);  // 0 .. 6
  const Tensor classes = kernel::cast(label, float64) / 2.;
  const Tensor valid = kernel::cast(classes, int64);  // 0 .. 3
  const CrossEntropyOptions options{.axis = 1, .reduction = Reduction::none};
  const Tensor losses = softmax_with_cross_entropy(x, valid, options);
  CHECK(losses.shape() == Shape(2, 3, 2));
  CHECK(same(softmax_with_cross_entropy(x, valid.unsqueeze(1), options), losses));
  CHECK(same(softmax_with_cross_entropy(channels_last(x), strided(valid), options), losses));
  CHECK(same(softmax_with_cross_entropy(x.permute({0, 2, 3, 1}), valid, {.reduction = Reduction::none}), losses));
  for (const std::int64_t n : {0, 1}) {
    const std::int64_t c = valid.at<std::int64_t>({n, 2, 1});
    CHECK(std::abs(losses.at({n, 2, 1}) + log_softmax(x, 1).at({n, c, 2, 1})) <= kTolerance);
  }
}

TEST_CASE("ignored labels cost nothing, count nothing, and get no gradient") {
  const Tensor x = leaf(rows());
  const CrossEntropyOptions options{.ignore_index = -100};
  const Tensor loss = softmax_with_cross_entropy(x, tensor({2, -100}), options);
  CHECK(std::abs(loss.item() - 0.13284523372757556) <= kTolerance);
  loss.backward();
  CHECK(same(x.grad().select(0, 1), zeros({3}, float64)));
  CHECK(std::isnan(softmax_with_cross_entropy(x, tensor({-100, -100}), options).item()));
  CHECK(softmax_with_cross_entropy(x, tensor({0, 0}), {.ignore_index = 0, .reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("cross-entropy with distributions is the expectation of the one with class numbers") {
  const Tensor x = rows();
  const Tensor soft = tensor({{.25, 0., .75}, {1., 0., 0.}}, float64);
  const auto hard = [&](const Tensor& label) {
    return softmax_with_cross_entropy(x, label, {.reduction = Reduction::none});
  };
  const Tensor got = softmax_with_cross_entropy(x, soft, {.soft_label = true, .reduction = Reduction::none});
  const double first = .25 * hard(tensor({0, 0})).at({0}) + .75 * hard(tensor({2, 0})).at({0});
  CHECK(std::abs(got.at({0}) - first) <= kTolerance);
  CHECK(std::abs(got.at({1}) - hard(tensor({0, 0})).at({1})) <= kTolerance);
  CHECK(distance(softmax_with_cross_entropy(x, soft, {.soft_label = true}), mean(got)) == 0);
}

TEST_CASE("cross-entropy has right derivatives to second order") {
  const Tensor x = spread_values({2, 3, 2}, 1);
  const Tensor label = tensor({{0, 2}, {1, 1}});
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
    const auto hard = [&](const Tensor& t) {
      const Tensor losses =
          softmax_with_cross_entropy(t, label, {.axis = 1, .ignore_index = 2, .reduction = reduction});
      return losses * losses;
    };
    CHECK_THAT(check_grads(hard, x, {.order = 2}), GradsAgree());
    const auto soft = [&](const Tensor& t, const Tensor& z) {
      return softmax_with_cross_entropy(t, z, {.axis = 1, .soft_label = true, .reduction = reduction});
    };
    CHECK_THAT(check_grads(soft, x, spread_values({2, 3, 2}, 2), {.order = 2}), GradsAgree());
  }
}

TEST_CASE("cross-entropy refuses labels that are no classes, and shapes that do not fit") {
  CHECK_THROWS_MATCHES(
      softmax_with_cross_entropy(rows(), tensor({2, 3})), InvalidArgument,
      MessageContains("softmax_with_cross_entropy", "labels in [0, 3)", "got 3 at position 1", "ignore_index"));
  CHECK_THROWS_AS(softmax_with_cross_entropy(rows(), tensor({-1, 0})), InvalidArgument);
  CHECK_THROWS_MATCHES(softmax_with_cross_entropy(rows(), tensor({1, 2, 0})), ShapeError,
                       MessageContains("[2] or [2, 1]", "got [3]"));
  CHECK_THROWS_MATCHES(softmax_with_cross_entropy(rows(), tensor({1., 2.})), DtypeError,
                       MessageContains("int64", "soft_label"));
  CHECK_THROWS_MATCHES(softmax_with_cross_entropy(rows(), tensor({1, 2}), {.soft_label = true}), DtypeError,
                       MessageContains("float64", "got int64"));
  CHECK_THROWS_MATCHES(softmax_with_cross_entropy(rows(), zeros({2}, float64), {.soft_label = true}), ShapeError,
                       MessageContains("[2, 3]", "got [2]"));
  CHECK_THROWS_AS(softmax_with_cross_entropy(tensor(1.), tensor(0)), ShapeError);
  CHECK_THROWS_AS(softmax_with_cross_entropy(arange(3), tensor(0)), DtypeError);
}

TEST_CASE("cross-entropy refuses a reduction outside of the list") {
  CHECK_THROWS_AS(softmax_with_cross_entropy(zeros({2, 3}), tensor({0, 1}), {.reduction = static_cast<Reduction>(7)}),
                  InvalidArgument);
}

TEST_CASE("cross-entropy of an empty batch is empty") {
  const Tensor x = zeros({0, 3});
  CHECK(softmax_with_cross_entropy(x, zeros({0}, int64), {.reduction = Reduction::none}).shape() == Shape(0));
  CHECK(std::isnan(softmax_with_cross_entropy(x, zeros({0}, int64)).item()));
}

TEST_CASE("cross-entropy keeps the digits of small losses and gradients") {
  for (const DType dtype : {float32, float64}) {
    const double rounding = 16 * (dtype == float32 ? kEpsilon32 : kEpsilon64);
    for (const double gap : {1., 5., 15., 20., 40., 80.}) {
      // Many classes as one line, a few as neighbouring lines.
      for (const std::int64_t classes : {3, 100}) {
        std::vector<double> logits(static_cast<std::size_t>(classes), -gap);
        logits[1] = 0;
        const Tensor x = leaf(kernel::cast(from_vector(logits, {1, classes}), dtype));
        const Tensor loss = softmax_with_cross_entropy(x, tensor({1}));
        const Tensor first = grad(loss, x);
        const double others = static_cast<double>(classes - 1) * std::exp(-gap);
        CAPTURE(name_of(dtype), gap, classes);
        CHECK(std::abs(loss.item() / std::log1p(others) - 1) <= rounding);
        CHECK(std::abs(first.at({0, 1}) / (-others / (1 + others)) - 1) <= rounding);
        CHECK(std::abs(first.at({0, 0}) / (std::exp(-gap) / (1 + others)) - 1) <= rounding);
      }
    }
  }
}

TEST_CASE("cross-entropy and softmax have their limits at infinite logits") {
  for (const std::int64_t classes : {3, 100}) {
    std::vector<double> logits(static_cast<std::size_t>(2 * classes), 0);
    logits[0] = kInfinity;                                   // takes all
    logits[static_cast<std::size_t>(classes)] = -kInfinity;  // has nothing
    const Tensor x = leaf(from_vector(logits, {2, classes}));
    const Tensor label = tensor({0, 1});
    const Tensor loss = softmax_with_cross_entropy(x, label, {.reduction = Reduction::none});
    const double rest = static_cast<double>(classes - 1);
    CHECK(loss.at({0}) == 0);
    CHECK(std::abs(loss.at({1}) - std::log(rest)) <= kTolerance);
    const Tensor g = grad(loss.sum(), x);
    for (const std::int64_t c : {0, 1, 2}) CHECK(g.at({0, c}) == 0);
    CHECK(g.at({1, 0}) == 0);
    CHECK(std::abs(g.at({1, 2}) - 1 / rest) <= kTolerance);

    CHECK(softmax(x).at({0, 0}) == 1);
    CHECK(softmax(x).at({0, 1}) == 0);
    CHECK(log_softmax(x).at({0, 0}) == 0);
    CHECK(log_softmax(x).at({0, 1}) == -kInfinity);

    // The same with distributions, where the impossible classes are not expected.
    Tensor expected = zeros({2, classes}, float64);
    expected.write<double>()[0] = 1;
    expected.write<double>()[static_cast<std::size_t>(classes) + 1] = 1;
    const CrossEntropyOptions soft{.soft_label = true, .reduction = Reduction::none};
    CHECK(distance(softmax_with_cross_entropy(x, expected, soft), loss) <= kTolerance);
    CHECK(distance(grad(softmax_with_cross_entropy(x, expected, soft).sum(), x), g) <= kTolerance);
  }
  CHECK(softmax_with_cross_entropy(tensor({{kInfinity, 0.}}), tensor({1})).item() == kInfinity);
  CHECK(same(softmax(tensor({kInfinity, 0., kInfinity})), tensor({.5, 0., .5})));
}

TEST_CASE("softmax_with_cross_entropy of no classes costs nothing, if all labels are ignored") {
  for (int i = 0; i < 20; ++i) {  // in memory that has held other numbers
    { const Tensor used = full({2, 1, 5}, 7); }
    const Tensor losses = softmax_with_cross_entropy(zeros({2, 0, 5}), full({2, 5}, 3, int64),
                                                     {.axis = 1, .ignore_index = 3, .reduction = Reduction::none});
    CHECK(losses.to_vector<float>() == std::vector<float>(10, 0));
  }
}
