#include <cmath>
#include <limits>
#include <vector>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/tests/layers/values.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("Dropout by default drops in training and scales down in evaluation") {
  Dropout layer({.p = 0.25, .seed = 1});
  const Tensor x = ones({10000});
  const Values y = values(layer(x));
  const auto kept = static_cast<double>(std::ranges::count(y, 1.0));
  CHECK(static_cast<double>(std::ranges::count(y, 0.0)) + kept == 10000);
  CHECK_THAT(kept, WithinAbs(7500, 5 * std::sqrt(10000 * 0.25 * 0.75)));  // five standard deviations
  layer.eval();
  CHECK(values(layer(ones({2}))) == Values{0.75, 0.75});
}

TEST_CASE("Dropout that upscales in training leaves evaluation alone") {
  Dropout layer({.p = 0.75, .seed = 1, .dropout_implementation = "upscale_in_train"});
  for (double v : values(layer(ones({100})))) REQUIRE((v == 0 || v == 4));
  layer.eval();
  CHECK(values(layer(ones({2}))) == Values{1, 1});
  Dropout all({.p = 1, .dropout_implementation = "upscale_in_train"});
  CHECK(values(all(ones({2}))) == Values{0, 0});
}

TEST_CASE("a seeded Dropout repeats its stream, not its mask") {
  Dropout a({.seed = 9}), b({.seed = 9});
  const Tensor x = ones({64});
  const Values first = values(a(x));
  CHECK(first == values(b(x)));
  CHECK(first != values(a(x)));
  CHECK_THROWS_MATCHES(Dropout({.p = 1.5}), InvalidArgument, MessageContains("Dropout", "0 <= p <= 1", "1.5"));
  CHECK_THROWS_AS(Dropout({.dropout_implementation = "up"}), InvalidArgument);
}

TEST_CASE("Dropout lets gradients through where it keeps") {
  Dropout layer({.p = 0.5, .seed = 2});
  Tensor x = ones({32});
  x.set_stop_gradient(false);
  const Tensor y = layer(x);
  y.backward();
  CHECK(values(x.grad()) == values(y));
}

TEST_CASE("Dropout of everything is 0, whatever it drops") {
  Dropout layer({.p = 1, .dropout_implementation = "upscale_in_train"});
  const Tensor x = tensor({1., std::numeric_limits<double>::infinity(), std::nan("")}).set_stop_gradient(false);
  const Tensor y = layer(x);
  CHECK(y.to_vector<double>() == std::vector<double>{0, 0, 0});
  CHECK(grad(y.sum(), x).to_vector<double>() == std::vector<double>{0, 0, 0});
}
