#include <cmath>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/hooks.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

// Not in an anonymous namespace: the test looks for its name in the place of recording.
__attribute__((noinline)) Tensor root_of_zero_recorded_here(const Tensor& x) {
  Tensor y = sqrt(x);
  return y;
}

TEST_CASE("anomaly mode names the op whose gradient first became infinite, and where it was recorded") {
  const Tensor x = zeros({1}, float64).set_stop_gradient(false);
  const AnomalyMode anomaly;
  Tensor y;
  {
    const RecordScope outer("decoder");
    const RecordScope inner("conv_7");
    y = root_of_zero_recorded_here(x) * 2.;
  }
  CHECK_THROWS_MATCHES(y.backward(), GraphError,
                       MessageContains("NaN or infinite", "sqrt", "in decoder > conv_7", "root_of_zero_recorded_here"));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("without anomaly mode infinities flow on as IEEE says") {
  const Tensor x = zeros({1}, float64).set_stop_gradient(false);
  sqrt(x).backward();
  CHECK(std::isinf(x.grad().item()));
  CHECK_FALSE(AnomalyMode::is_enabled());
}

TEST_CASE("anomaly mode leaves healthy graphs alone and ends with its scope") {
  const Tensor x = ones({1}, float64).set_stop_gradient(false);
  {
    const AnomalyMode anomaly;
    CHECK(AnomalyMode::is_enabled());
    sqrt(x).backward();
  }
  CHECK(x.grad().item() == 0.5);
  CHECK_FALSE(AnomalyMode::is_enabled());
}

TEST_CASE("anomaly mode checks sums of gradients, what hooks return, and what a pass starts from") {
  const AnomalyMode anomaly;
  const Tensor x = ones({1}).set_stop_gradient(false);
  const double large = 3e38;  // twice that overflows float32
  CHECK_THROWS_MATCHES((x * large + x * large).backward(full({1}, 1, float32)), GraphError,
                       MessageContains("NaN or infinite", "adds up", "leaf"));
  CHECK_THROWS_MATCHES(x.backward(full({1}, NAN)), GraphError, MessageContains("NaN or infinite", "starts", "leaf"));
  const Tensor h = x * 2.;
  (void)h.register_hook([](const Tensor& g) { return g * NAN; });
  CHECK_THROWS_MATCHES(h.backward(), GraphError, MessageContains("NaN or infinite", "hook", "mul"));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("anomaly mode names the recorded op whose output is the first NaN, and where it was recorded") {
  const Tensor x = full({1}, -1., float64).set_stop_gradient(false);
  const AnomalyMode anomaly;
  const RecordScope scope("encoder");
  CHECK_THROWS_MATCHES(root_of_zero_recorded_here(x), GraphError,
                       MessageContains("sqrt: ", "the output has a NaN", "in encoder", "root_of_zero_recorded_here"));
  CHECK_NOTHROW(log(x + 1.));  // an infinite output is no error
  CHECK_NOTHROW(sqrt(x.detach()));
}

TEST_CASE("anomaly mode reports an input that was NaN already") {
  const Tensor x = full({1}, NAN, float64).set_stop_gradient(false), y = ones({1}, float64);
  const AnomalyMode anomaly;
  CHECK_THROWS_MATCHES(y * x, GraphError, MessageContains("mul: ", "inputs[1] has one already"));
}
