#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/activation.h>
#include <dygrad/tests/layers/values.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("activation layers apply their functions") {
  const Tensor x = tensor({-1., 0.5, 3.});
  ReLU rectify;
  CHECK(values(rectify(x)) == Values{0, 0.5, 3});
  LeakyReLU leaky({.alpha = 0.25});
  CHECK(values(leaky(x)) == Values{-0.25, 0.5, 3});
  Activation named("hard_sigmoid");
  CHECK_THAT(named(x).at({2}), WithinAbs(1, 1e-6));
  Activation none("");
  CHECK(values(none(x)) == values(x));
  CHECK_THROWS_MATCHES(Activation("nope"), InvalidArgument, MessageContains("\"nope\""));
}
