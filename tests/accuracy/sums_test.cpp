// Sums over many equal values, which show at once what a running sum in the dtype would lose: 0.1 added 2^25 times to a
// float32 ends at 2^21.
#include <cmath>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/loss.h>
#include <dygrad/autograd/ops/reduce/norm.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/reduce/softmax.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/optim/clip.h>
#include <dygrad/layers/optim/sgd.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {

constexpr std::int64_t kCount = std::int64_t{1} << 25;

/// A tree of log2(n) = 25 roundings on a leaf of about as many, and a few more of what is summed.
void check(double got, double exact) {
  const double roundings = 64;
  CHECK(std::abs(got - exact) <= roundings * 0x1p-24 * std::abs(exact));
}

double value() { return static_cast<double>(0.1F); }

}  // namespace

TEST_CASE("sums, means and variances of many values", "[slow]") {
  const Tensor x = full({kCount}, 0.1);
  const double n = static_cast<double>(kCount);
  check(sum(x).item(), n * value());
  check(mean(x).item(), value());
  check(var(x + 1e6).item() + 1, 1);  // all equal
  check(logsumexp(x).item(), value() + std::log(n));
  check(sum(x.reshape({kCount / 4, 4}), {0}).at({3}), n / 4 * value());
}

TEST_CASE("losses and their gradients over many values", "[slow]") {
  const double n = static_cast<double>(kCount);
  const Tensor zero = zeros({kCount});
  Tensor shift = full({1}, 0.1).set_stop_gradient(false);
  const Tensor x = shift.expand({kCount});
  check(mse_loss(x, zero).item(), value() * value());
  check(l1_loss(x, zero, Reduction::sum).item(), n * value());
  check(smooth_l1_loss(x, zero).item(), value() * value() / 2);
  const Tensor loss = bce_with_logits(x, zero);
  check(loss.item(), std::log1p(std::exp(value())));
  check(grad(loss, shift).item(), 1 / (1 + std::exp(-value())));  // a sum over what was expanded
}

TEST_CASE("softmax over many classes, in lines and across them", "[slow]") {
  const double n = static_cast<double>(kCount);
  // The largest is 1 above the others, so that their terms are no whole numbers.
  Tensor line = full({1, kCount}, 0.);
  line.write<float>()[5] = 1;
  const double sum = 1 + (n - 1) * static_cast<double>(std::exp(-1.F));
  check(softmax(line).at({0, 5}), 1 / sum);
  check(softmax_with_cross_entropy(line, tensor({5})).item(), std::log(sum));
  const std::int64_t classes = kCount / 8;
  Tensor across = full({classes, 8}, 0.);
  for (std::int64_t j = 0; j < 8; ++j) across.write<float>()[static_cast<std::size_t>(8 * 5 + j)] = 1;
  const double other_sum = 1 + static_cast<double>(classes - 1) * static_cast<double>(std::exp(-1.F));
  check(softmax(across, 0).at({5, 3}), 1 / other_sum);
  check(softmax_with_cross_entropy(across, full({8}, 5, int64), {.axis = 0}).item(), std::log(other_sum));
}

TEST_CASE("normalisation and clipping over many values", "[slow]") {
  const double n = static_cast<double>(kCount);
  Tensor x = full({kCount / 2, 2}, 0.1);
  for (std::size_t i = 0; i < static_cast<std::size_t>(kCount); i += 4)
    x.write<float>()[i] = -0.1F;  // half of channel 0
  BatchStatistics statistics;
  Tensor shift = zeros({2}).set_stop_gradient(false);
  const Tensor y = batch_norm(x, {}, shift, 1e-5, &statistics);
  check(statistics.mean.at({1}), value());
  check(statistics.variance.at({0}), value() * value());
  check(grad((y * 0 + shift).sum() * 0.1, shift).at({1}), n / 2 * value());

  Parameter p(zeros({kCount}));
  p.set_grad(full({kCount}, 0.1));
  SGD({p}, {.learning_rate = 1, .grad_clip = GradientClipByGlobalNorm{1}}).step();
  check(-p.at({7}), 1 / std::sqrt(n));
}

}  // namespace dygrad::testing
