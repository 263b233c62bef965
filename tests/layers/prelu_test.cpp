#include <cmath>
#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/prelu.h>
#include <dygrad/tests/layers/values.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("PRelu learns the slope of its negative side") {
  PRelu layer;
  layer.weight.fill(0.5);
  Tensor x = tensor({-2., 3.});
  const Tensor y = layer(x);
  CHECK(values(y) == Values{-1, 3});
  y.backward();
  CHECK(layer.weight.grad().item() == -2);
  CHECK(PRelu({.mode = "channel", .channel = 3}).weight.shape() == Shape{1, 3, 1, 1});
  CHECK(PRelu({.mode = "element", .input_shape = {8, 2, 4}}).weight.shape() == Shape{1, 2, 4});
  CHECK(PRelu().weight.item() == 1);
  CHECK_THROWS_MATCHES(PRelu({.mode = "both"}), InvalidArgument, MessageContains("PRelu", "\"both\""));
}

TEST_CASE("PRelu's derivative at 0 is its slope, and NaN and infinity go through") {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  PRelu layer({.dtype = float64});
  layer.weight.fill(0.5);
  Tensor x = tensor({0., -0., 2., -2., infinity}, float64);
  x.set_stop_gradient(false);
  const Tensor y = layer(x);
  CHECK(values(y) == Values{0, 0, 2, -1, infinity});
  CHECK(std::isnan(layer(tensor({nan}, float64)).item()));
  y.backward();
  CHECK(values(x.grad()) == Values{0.5, 0.5, 1, 0.5, 1});
  CHECK(layer.weight.grad().item() == -2);
}

TEST_CASE("PRelu's mixed second derivative is 1 up to 0, and 0 beyond") {
  PRelu layer({.dtype = float64});
  Tensor x = tensor({-1., 0., 2.}, float64);
  x.set_stop_gradient(false);
  const Tensor g = grad({layer(x).sum()}, {x}, {.create_graph = true})[0];
  CHECK(values(g) == Values{1, 1, 1});
  CHECK(grad({g.sum()}, {layer.weight})[0].item() == 2);
}

TEST_CASE("PRelu takes the shapes that its mode means") {
  const auto run = [](PRelu::Options options, const Tensor& x) {
    options.dtype = float64;
    return PRelu(std::move(options))(x);
  };
  const auto minus = [](const Shape& shape) { return full(shape, -1, float64); };
  CHECK(run({}, minus({})).shape() == Shape{});
  CHECK(run({}, minus({2, 3})).shape() == Shape{2, 3});
  for (const Shape& shape : {Shape{2, 3}, Shape{2, 3, 4}, Shape{2, 3, 4, 5}, Shape{2, 3, 4, 5, 6}}) {
    PRelu layer({.mode = "channel", .channel = 3, .dtype = float64});
    layer.weight.set_value(tensor({1., 2., 3.}, float64).reshape({1, 3, 1, 1}));
    const Tensor y = layer(minus(shape));
    REQUIRE(y.shape() == shape);
    for (std::int64_t c = 0; c < 3; ++c)
      CHECK(y.select(1, c).sum().item() == -double(c + 1) * double(y.select(1, c).num_elements()));
  }
  CHECK(run({.mode = "element", .input_shape = {8, 2, 4}}, minus({3, 2, 4})).shape() == Shape{3, 2, 4});
  for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 1}, Shape{3, 2}, Shape{2, 1, 4, 4}})
    CHECK_THROWS_MATCHES(run({.mode = "channel", .channel = 3}, minus(shape)), ShapeError,
                         MessageContains("prelu", "\"channel\"", "expected x of shape [N, 3, ...]", "got", "fix"));
  for (const Shape& shape : {Shape{}, Shape{2, 4}, Shape{3, 2, 1}, Shape{1, 3, 2, 4}})
    CHECK_THROWS_MATCHES(run({.mode = "element", .input_shape = {8, 2, 4}}, minus(shape)), ShapeError,
                         MessageContains("prelu", "\"element\"", "[8, 2, 4]", "got", "fix"));
}
