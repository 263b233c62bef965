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
Tensor targets() { return tensor({{1., 0., .5}, {0., 1., .25}}, float64); }

// A few operations on numbers below 8.
constexpr double kTolerance = 64 * kEpsilon64;

constexpr Reduction kReductions[] = {Reduction::mean, Reduction::sum, Reduction::none};
}  // namespace

// Golden numbers: torch 1.13 in float64, torch.nn.functional with reduction = "none".
TEST_CASE("elementwise losses agree with torch") {
  CHECK(distance(bce_with_logits(rows(), targets(), Reduction::none),
                 tensor({{0.31326168751822286, 0.1269280110429726, 1.548587351573742},
                         {0.9740769841801067, 0.5759394198788437, 0.5632616875182228}},
                        float64)) <= kTolerance);
  CHECK(
      same(smooth_l1_loss(rows(), targets(), Reduction::none, .5), tensor({{0., 1.75, 2.25}, {.25, .5, 1.}}, float64)));
  CHECK(same(mse_loss(rows(), targets(), Reduction::none), tensor({{0., 4., 6.25}, {.25, .5625, 1.5625}}, float64)));
  CHECK(same(square_error_cost(rows(), targets()), mse_loss(rows(), targets(), Reduction::none)));
  CHECK(same(l1_loss(rows(), targets(), Reduction::none), tensor({{0., 2., 2.5}, {.5, .75, 1.25}}, float64)));
}

TEST_CASE("losses are averaged, summed, or left as they are") {
  CHECK(mse_loss(rows(), targets(), Reduction::sum).item() == 12.625);
  CHECK(mse_loss(rows(), targets()).item() == 12.625 / 6);
  CHECK(l1_loss(rows(), targets()).item() == 7. / 6);
  CHECK(std::isnan(mse_loss(zeros({0}), zeros({0})).item()));
  CHECK(mse_loss(zeros({0}), zeros({0}), Reduction::sum).item() == 0);
}

TEST_CASE("losses of as many elements as fill the blocks of a sum, or one more or less, count each once") {
  for (const DType dtype : {float32, float64}) {
    for (const std::int64_t n : {1, 2047, 2048, 2049, 4095, 4096, 4097, 6143}) {
      INFO(n);
      CHECK(mse_loss(full({n}, 3, dtype), full({n}, 1, dtype)).item() == 4);
      CHECK(mse_loss(full({n}, 3, dtype), full({n}, 1, dtype), Reduction::sum).item() == 4. * static_cast<double>(n));
    }
  }
}

TEST_CASE("elementwise losses have right derivatives in both arguments, to second order") {
  for (const Reduction reduction : kReductions) {
    const CheckGradsOptions second{.order = 2};
    // Steps stay clear of the kinks of l1 (0) and smooth_l1 (beta).
    const Tensor x = rows(), y = targets() + .1;
    CHECK_THAT(check_grads([=](const Tensor& a, const Tensor& b) { return mse_loss(a, b, reduction); }, x, y, second),
               GradsAgree());
    CHECK_THAT(check_grads([=](const Tensor& a, const Tensor& b) { return l1_loss(a, b, reduction); }, x, y, second),
               GradsAgree());
    CHECK_THAT(check_grads([=](const Tensor& a, const Tensor& b) { return smooth_l1_loss(a, b, reduction, .7); }, x, y,
                           second),
               GradsAgree());
    CHECK_THAT(
        check_grads([=](const Tensor& a, const Tensor& b) { return bce_with_logits(a, b, reduction); }, x, y, second),
        GradsAgree());
  }
}

TEST_CASE("bce_with_logits is finite for confident logits, and passes NaN on") {
  const Tensor y = bce_with_logits(tensor({1000., -1000., kNaN}), tensor({0., 1., 0.}), Reduction::none);
  CHECK(same(y, tensor({1000., 1000., kNaN})));
}

TEST_CASE("bce_with_logits has its limits at infinite logits") {
  const Tensor x = leaf(tensor({kInfinity, -kInfinity, kInfinity, -kInfinity}, float64));
  const Tensor z = tensor({1., 0., 0., 1.}, float64);
  const Tensor y = bce_with_logits(x, z, Reduction::none);
  CHECK(same(y, tensor({0., 0., kInfinity, kInfinity}, float64)));
  const Tensor first = grad(y.sum(), x, {.create_graph = true});
  CHECK(same(first, tensor({0., 0., 1., -1.}, float64)));
  CHECK(same(grad(first.sum(), x), zeros({4}, float64)));
}

TEST_CASE("bce_with_logits keeps the digits of small losses and gradients") {
  for (const DType dtype : {float32, float64}) {
    const double rounding = 8 * (dtype == float32 ? kEpsilon32 : kEpsilon64);
    for (const double gap : {1., 5., 15., 20., 40., 80.}) {
      const Tensor x = leaf(full({1}, gap, dtype));
      const Tensor y = bce_with_logits(x, ones({1}, dtype));
      const Tensor first = grad(y, x, {.create_graph = true});
      const Tensor second = grad(first, x);
      const double e = std::exp(-gap), share = e / (1 + e);
      CAPTURE(name_of(dtype), gap);
      CHECK(std::abs(y.item() / std::log1p(e) - 1) <= rounding);
      CHECK(std::abs(first.item() / -share - 1) <= rounding);
      CHECK(std::abs(second.item() / (share / (1 + e)) - 1) <= rounding);
    }
  }
}

TEST_CASE("smooth_l1_loss takes distances whose squares overflow or vanish") {
  for (const double size : {1e-30, 1e30}) {
    const auto loss = smooth_l1_loss(tensor({size, 3 * size}), zeros({2}), Reduction::none, 2 * size);
    CHECK(std::abs(loss.at({0}) / (size / 4) - 1) <= 4 * kEpsilon32);
    CHECK(std::abs(loss.at({1}) / (2 * size) - 1) <= 4 * kEpsilon32);
  }
}

TEST_CASE("smooth_l1_loss is linear from a distance of beta on, where its second derivative is 0") {
  for (const DType dtype : {float32, float64}) {
    const Tensor x = leaf(tensor({-2., -.7, -.5, 0., .5, .7, 2.}, dtype));
    const Tensor loss = smooth_l1_loss(x, zeros({7}, dtype), Reduction::sum, .7);
    const Tensor first = grad(loss, x, {.create_graph = true});
    CHECK(same(first, tensor({-1., -1., -.5, 0., .5, 1., 1.}, dtype) / tensor({1., 1., .7, 1., .7, 1., 1.}, dtype)));
    const Tensor curved = 1. / tensor({.7}, dtype), zero = zeros({1}, dtype);
    CHECK(same(grad(first.sum(), x), concat({zero, zero, curved, curved, curved, zero, zero})));
  }
}

TEST_CASE("elementwise losses refuse what does not fit") {
  CHECK_THROWS_MATCHES(mse_loss(zeros({2, 3}), zeros({3})), ShapeError,
                       MessageContains("mse_loss", "y of shape [2, 3]", "got [3]"));
  CHECK_THROWS_MATCHES(l1_loss(zeros({2}), zeros({2}, float64)), DtypeError,
                       MessageContains("l1_loss", "float32", "got float64"));
  CHECK_THROWS_MATCHES(bce_with_logits(zeros({2}, int64), zeros({2}, int64)), DtypeError,
                       MessageContains("bce_with_logits", "int64"));
  CHECK_THROWS_MATCHES(smooth_l1_loss(zeros({2}), zeros({2}), Reduction::mean, 0), InvalidArgument,
                       MessageContains("beta > 0", "got 0"));
  const auto reduction = static_cast<Reduction>(7);
  CHECK_THROWS_MATCHES(l1_loss(zeros({2}), zeros({2}), reduction), InvalidArgument,
                       MessageContains("loss", "Reduction::mean", "got 7"));
  CHECK_THROWS_AS(bce_with_logits(zeros({2}), zeros({2}), reduction), InvalidArgument);
}

TEST_CASE("smooth_l1_loss refuses a beta that is 0 or infinite in the dtype") {
  const Tensor x = kernel::cast(rows(), float32), y = kernel::cast(targets(), float32);
  for (const double beta : {1e-46, 1e39, kInfinity, kNaN})
    CHECK_THROWS_MATCHES(smooth_l1_loss(x, y, Reduction::mean, beta), InvalidArgument, MessageContains("beta", "fix:"));
  CHECK(smooth_l1_loss(rows(), targets(), Reduction::mean, 1e-46).defined());
}

TEST_CASE("losses name the operand that is undefined") {
  const Tensor none, x = ones({2});
  CHECK_THROWS_MATCHES(mse_loss(none, x), InvalidArgument, MessageContains("mse_loss: x was used before"));
  CHECK_THROWS_MATCHES(l1_loss(x, none), InvalidArgument, MessageContains("l1_loss: y was used before"));
  CHECK_THROWS_MATCHES(bce_with_logits(none, x), InvalidArgument,
                       MessageContains("bce_with_logits: logits was used before"));
  CHECK_THROWS_MATCHES(bce_with_logits(x, none), InvalidArgument,
                       MessageContains("bce_with_logits: target was used before"));
}
