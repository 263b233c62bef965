// Conv2D, Linear, Pool2D, Dropout, Flatten, PRelu and the activation layers.
#include <algorithm>
#include <cmath>
#include <limits>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/graph.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/activation.h>
#include <dygrad/layers/batch_norm.h>
#include <dygrad/layers/conv2d.h>
#include <dygrad/layers/conv2d_transpose.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/flatten.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/pool2d.h>
#include <dygrad/layers/prelu.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }
Tensor count_up(const Shape& shape) {
  return arange(0, static_cast<double>(num_elements(shape)), 1, float32).reshape(shape);
}
using Values = std::vector<double>;
}  // namespace

TEST_CASE("Conv2D slides its kernel and adds the bias", "[smoke]") {
  Conv2D layer({.num_channels = 1,
                .num_filters = 1,
                .filter_size = 2,
                .stride = {1, 2},
                .param_attr = Assign{count_up({1, 1, 2, 2})},
                .bias_attr = Constant{.value = 0.5}});
  // 0 a + 1 b + 2 c + 3 d on 3x4 counting up: windows at columns 0 and 2.
  CHECK(values(layer(count_up({1, 1, 3, 4}))) == Values{24.5, 36.5, 48.5, 60.5});
}

TEST_CASE("Conv2D starts with its normal deviation, over all channels") {
  const Conv2D layer({.num_channels = 50, .num_filters = 100, .filter_size = 2, .groups = 2});
  CHECK(layer.weight.shape() == Shape{100, 25, 2, 2});
  double sum = 0;
  for (double v : values(layer.weight)) sum += v * v;
  // Five standard errors of the deviation of 10000 draws.
  CHECK_THAT(std::sqrt(sum / 10000), WithinRel(std::sqrt(2. / 200), 5 / std::sqrt(20000.)));
  CHECK_THROWS_MATCHES(Conv2D({.num_channels = 3, .num_filters = 2, .filter_size = 1, .groups = 2}), InvalidArgument,
                       MessageContains("Conv2D", "groups do not divide num_channels"));
}

TEST_CASE("Linear multiplies the last dimension") {
  Linear layer({.input_dim = 2,
                .output_dim = 3,
                .param_attr = Assign{tensor({{1., 2., 3.}, {4., 5., 6.}})},
                .bias_attr = Assign{tensor({0., 0., -100.})},
                .act = "relu"});
  CHECK(values(layer(tensor({{1., 1.}, {0., 1.}}))) == Values{5, 7, 0, 4, 5, 0});
  CHECK(layer(zeros({4, 5, 2})).shape() == Shape{4, 5, 3});
  CHECK(layer(zeros({0, 2})).shape() == Shape{0, 3});
  CHECK_THROWS_MATCHES(layer(zeros({2, 3})), ShapeError,
                       MessageContains("linear", "expected x.dim(-1) == 2, got 3", "in layer"));
  CHECK_THROWS_MATCHES(Linear({.input_dim = 2}), InvalidArgument,
                       MessageContains("Linear", "output_dim >= 1", "got 0"));
}

TEST_CASE("Pool2D takes maxima and means") {
  const Tensor x = count_up({1, 1, 4, 4});
  Pool2D largest({.pool_size = 2, .pool_stride = 2});
  CHECK(values(largest(x)) == Values{5, 7, 13, 15});
  Pool2D average({.pool_size = 2, .pool_type = "avg", .pool_stride = 2});
  CHECK(values(average(x)) == Values{2.5, 4.5, 10.5, 12.5});
  Pool2D everything({.pool_type = "avg", .global_pooling = true});
  CHECK(everything(x).shape() == Shape{1, 1, 1, 1});
  CHECK(everything(x).item() == 7.5);
}

TEST_CASE("Pool2D refuses impossible options") {
  CHECK_THROWS_MATCHES(Pool2D({.pool_size = 2, .pool_type = "sum"}), InvalidArgument,
                       MessageContains("pool_type", "\"sum\""));
  CHECK_THROWS_MATCHES(Pool2D({.pool_type = "max"}), InvalidArgument, MessageContains("pool_size >= 1", "(-1, -1)"));
  CHECK_THROWS_AS(Pool2D({.pool_size = 2, .pool_stride = 0}), InvalidArgument);
  CHECK_THROWS_AS(Pool2D({.pool_size = 2, .pool_padding = 2}), InvalidArgument);
}

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

TEST_CASE("weights that were replaced by others must have the layer's shape") {
  Linear linear({.input_dim = 3, .output_dim = 2});
  linear.weight = Parameter(zeros({3}));
  CHECK_THROWS_MATCHES(linear(ones({2, 3})), ShapeError, MessageContains("linear: the weight is no matrix", "got [3]"));
  PRelu prelu({.mode = "channel", .channel = 3});
  prelu.weight = Parameter(zeros({5}));
  CHECK_THROWS_MATCHES(prelu(ones({1, 3, 1, 1})), ShapeError,
                       MessageContains("prelu: the weight does not fit", "expected shape [1, 3, 1, 1], got [5]"));
}

TEST_CASE("graphs print names of parameters without control characters") {
  const Linear layer({.input_dim = 3, .output_dim = 2, .param_attr = ParamAttr{.name = "a\nb\x1b"}});
  const Tensor y = matmul(ones({1, 3}), layer.weight);
  for (const std::string& text : {graph_text(y), graph_dot(y)}) {
    CHECK_THAT(text, ContainsSubstring("a\\nb\\x1b") || ContainsSubstring("a\\\\nb\\\\x1b"));
    CHECK(text.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("Flatten keeps the batch dimension") {
  Flatten layer;
  CHECK(layer(zeros({2, 3, 4, 5})).shape() == Shape{2, 60});
  Flatten inner({.start_axis = 2, .stop_axis = 3});
  CHECK(inner(zeros({2, 3, 4, 5})).shape() == Shape{2, 3, 20});
  CHECK_THROWS_AS(layer(zeros({2})), ShapeError);
}

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

TEST_CASE("layers of another dtype than their input say how to choose it") {
  const auto says = MessageContains("x float32, weight float64", "x.to(dygrad::float64)", ".dtype = dygrad::float32");
  CHECK_THROWS_MATCHES(Linear({.input_dim = 2, .output_dim = 1, .dtype = float64})(ones({3, 2})), DtypeError,
                       MessageContains("linear") && says);
  CHECK_THROWS_MATCHES(PRelu({.dtype = float64})(ones({3, 2})), DtypeError, MessageContains("prelu") && says);
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

TEST_CASE("layers name the parameter, or the input, that is undefined") {
  const Tensor none;
  const auto check = [&](Layer& layer, const Tensor& x, const char* input,
                         std::vector<std::pair<Parameter*, const char*>> members) {
    CHECK_THROWS_MATCHES(layer(none), InvalidArgument,
                         MessageContains(input, " was used before", "in layer " + layer.full_name()));
    for (const auto& [member, words] : members) {
      const Parameter kept = *member;
      *member = Parameter();
      CHECK_THROWS_MATCHES(layer(x), InvalidArgument, MessageContains(words, "in layer " + layer.full_name()));
      *member = kept;
    }
  };
  const Tensor image = ones({1, 1, 3, 3});
  Linear linear({.input_dim = 2, .output_dim = 2});
  check(linear, ones({1, 2}), "linear: x", {{&linear.weight, "linear: weight was"}});
  Conv2D conv({.num_channels = 1, .num_filters = 1, .filter_size = 2});
  check(conv, image, "conv2d: x", {{&conv.weight, "conv2d: weight was"}});
  Conv2DTranspose up({.num_channels = 1, .num_filters = 1, .filter_size = 2});
  check(up, image, "conv2d_transpose: x", {{&up.weight, "conv2d_transpose: weight was"}});
  BatchNorm norm({.num_channels = 1});
  check(norm, image, "batch_norm: x",
        {{&norm.weight, "batch_norm: weight was"},
         {&norm.mean, "batch_norm: mean was"},
         {&norm.variance, "batch_norm: variance was"}});
  PRelu prelu;
  check(prelu, image, "prelu: x", {{&prelu.weight, "prelu: weight was"}});
  Pool2D pool({.pool_size = 2});
  check(pool, image, "Pool2D: x", {});
  Dropout dropout;
  check(dropout, image, "dropout: x", {});
  CHECK_THROWS_MATCHES(Parameter(none), InvalidArgument, MessageContains("Parameter: the value was used before"));
}
