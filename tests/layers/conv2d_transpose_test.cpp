// Numbers: worked by hand from the scatter formula; I from numpy.
#include <dygrad/layers/conv2d_transpose.h>

#include <cmath>

#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

using Options = Conv2DTranspose::Options;

Tensor count_up(const Shape& shape, double first, DType dtype) {
  return arange(first, first + static_cast<double>(num_elements(shape)), 1, dtype).reshape(shape);
}

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

/// X = [[1, 2], [3, 4]] and a 3x3 kernel 1..9, without bias.
Options worked(Options o) {
  o.num_channels = o.num_filters = 1;
  o.filter_size = 3;
  o.stride = 2;
  o.param_attr = Assign{count_up({1, 1, 3, 3}, 1, float64)};
  o.bias_attr = false;
  o.dtype = float64;
  return o;
}
const auto image = [] { return count_up({1, 1, 2, 2}, 1, float64); };

}  // namespace

TEST_CASE("the seed's example has the documented shape", "[smoke]") {
  Conv2DTranspose layer({.num_channels = 32, .num_filters = 2, .filter_size = 3});
  CHECK(layer(uniform({3, 32, 32, 5})).shape() == Shape{3, 2, 34, 7});
  CHECK(layer.weight.shape() == Shape{32, 2, 3, 3});
  CHECK(layer.bias.shape() == Shape{2});
  CHECK(layer.options().use_cudnn);
}

TEST_CASE("a strided transposed convolution scatters the kernel") {
  Conv2DTranspose layer(worked({}));
  CHECK(values(layer(image())) == std::vector<double>{1,  2,  5,  4,  6,  4,  5,  14, 10, 12, 10, 14, 36,
                                                      24, 30, 12, 15, 34, 20, 24, 21, 24, 55, 32, 36});
}

TEST_CASE("padding crops, and output_size brings back real sums") {
  Conv2DTranspose cropped(worked({.padding = 1}));
  CHECK(values(cropped(image())) == std::vector<double>{5, 14, 10, 14, 36, 24, 15, 34, 20});
  const std::vector<double> larger{5, 14, 10, 12, 14, 36, 24, 30, 15, 34, 20, 24, 24, 55, 32, 36};
  Conv2DTranspose sized(worked({.output_size = 4, .padding = 1}));
  CHECK(values(sized(image())) == larger);
  Conv2DTranspose padded(worked({.padding = 1, .output_padding = 1}));
  CHECK(values(padded(image())) == larger);
  CHECK(values(cropped(image(), 4)) == larger);
  CHECK(values(cropped(image(), OutputSize())) == values(cropped(image())));
  CHECK(values(padded(image(), 3)) == values(cropped(image())));
}

TEST_CASE("call-time output sizes pass through hooks") {
  Conv2DTranspose layer(worked({.padding = 1}));
  int calls = 0;
  layer.register_forward_post_hook([&](Layer&, const Tensor&, const Tensor&) {
    ++calls;
    return Tensor();
  });
  CHECK(layer(image(), {4, 3}).shape() == Shape{1, 1, 4, 3});
  CHECK(calls == 1);
}

TEST_CASE("an output size below H' or not below H' + stride is refused at forward and names the layer") {
  const UniqueNameGuard guard;
  Conv2DTranspose layer(worked({.padding = 1}));
  CHECK_THROWS_MATCHES(layer(image(), 2), ShapeError,
                       MessageContains("output_size", "small", "in layer conv2d_transpose_0"));
  CHECK_THROWS_MATCHES(layer(image(), 5), ShapeError, MessageContains("output_size", "large"));
  CHECK_THROWS_MATCHES(layer.forward(image(), 5), ShapeError, MessageContains("in layer conv2d_transpose_0"));
}

TEST_CASE("groups keep channels apart, and the bias is added per output channel") {
  Conv2DTranspose layer({.num_channels = 4,
                         .num_filters = 4,
                         .filter_size = 1,
                         .groups = 2,
                         .param_attr = Assign{count_up({4, 2, 1, 1}, 1, float32)},
                         .bias_attr = Assign{tensor({.5, -.5, 1., -1.})}});
  CHECK(values(layer(count_up({1, 4, 1, 1}, 1, float32))) == std::vector<double>{7.5, 9.5, 44, 49});
}

TEST_CASE("everything at once agrees with the worked example") {
  std::vector<double> w;
  for (int i = 0; i < 36; ++i) w.push_back((i % 7 - 3) / 2.);
  Conv2DTranspose layer({.num_channels = 3,
                         .num_filters = 2,
                         .filter_size = {2, 3},
                         .padding = {1, 0},
                         .stride = {2, 1},
                         .dilation = {1, 2},
                         .param_attr = Assign{from_vector(w, {3, 2, 2, 3})},
                         .bias_attr = Assign{tensor({.25, -.25}, float64)},
                         .dtype = "float64"});
  const Tensor y = layer(count_up({2, 3, 2, 2}, 0, float64));
  REQUIRE(y.shape() == Shape{2, 2, 2, 6});
  const std::vector<double> all = values(y);
  const std::vector<double> first(all.begin(), all.begin() + 12);
  CHECK(first == std::vector<double>{8.25, 8.75, -13.75, -15.25, -7.75, -7.75, 3.25, 2.75, 12.25, 13.25, .25, -.75});
  double sum = 0, squares = 0;
  for (double v : all) {
    sum += v;
    squares += v * v;
  }
  CHECK(sum == 13.0);
  CHECK(squares == 10897.0);
}

TEST_CASE("gradients reach input, weight and bias") {
  Options options = worked({.output_size = 4, .padding = 1});
  options.bias_attr = true;
  Conv2DTranspose layer(std::move(options));
  Tensor x = image();
  x.set_stop_gradient(false);
  layer(x).backward();
  CHECK(values(x.grad()) == std::vector<double>{28, 39, 33, 45});
  CHECK(values(layer.weight.grad()) == std::vector<double>{4, 7, 7, 6, 10, 10, 6, 10, 10});
  CHECK(values(layer.bias.grad()) == std::vector<double>{16});
}

TEST_CASE("a frozen weight gets no gradient and the others do") {
  Options options = worked({});
  options.param_attr = ParamAttr{.trainable = false};
  options.bias_attr = true;
  Conv2DTranspose layer(std::move(options));
  layer(image()).backward();
  CHECK(!layer.weight.grad().defined());
  CHECK(layer.bias.grad().defined());
}

TEST_CASE("the activation comes last") {
  Conv2DTranspose layer(
      {.num_channels = 3, .num_filters = 10, .filter_size = 27, .bias_attr = Constant{.value = 1}, .act = "sigmoid"});
  const Tensor y = layer(count_up({2, 3, 2, 2}, 0, float32));
  CHECK(y.shape() == Shape{2, 10, 28, 28});
  for (double v : values(y)) REQUIRE((v >= 0 && v <= 1));
}

TEST_CASE("an activation that follows from its output is part of the op, any other is an op of its own") {
  const Tensor x = count_up({1, 2, 3, 3}, 0, float32);
  const auto last_op = [&](const std::string& act) {
    Conv2DTranspose layer({.num_channels = 2, .num_filters = 4, .filter_size = 2, .act = act});
    return std::string(gradient_node(layer(x))->name());
  };
  CHECK(last_op("leaky_relu") == "conv2d_transpose");
  CHECK(last_op("elu") == "elu");
}

TEST_CASE("two layers differ, agree after set_value, and share after assignment") {
  const Options options{.num_channels = 3, .num_filters = 2, .filter_size = 2};
  Conv2DTranspose a(options), b(options);
  const Tensor x = count_up({1, 3, 2, 2}, 0, float32);
  CHECK(values(a(x)) != values(b(x)));
  b.weight.set_value(a.weight);
  CHECK(values(a(x)) == values(b(x)));
  b.weight = a.weight;
  a.weight.fill(1);
  CHECK(values(a(x)) == values(b(x)));
}

TEST_CASE("a default weight lies within Xavier's limit and the bias is 0") {
  // fan_in = 2 * 9, fan_out = 32 * 9: sqrt(6 / 306).
  const Conv2DTranspose layer({.num_channels = 32, .num_filters = 2, .filter_size = 3});
  double largest = 0;
  for (double v : values(layer.weight)) largest = std::max(largest, std::fabs(v));
  CHECK(largest <= 0.140029);
  CHECK(largest > 0.13);  // 576 draws: all below 0.13 has probability 0.93^576
  CHECK(values(layer.bias) == std::vector<double>{0, 0});
}

TEST_CASE("channels-last images give the same numbers") {
  Options options{.num_channels = 3, .num_filters = 2, .filter_size = 2, .stride = 2};
  Conv2DTranspose first(options);
  options.data_format = "NHWC";
  Conv2DTranspose last(options);
  last.weight = first.weight;
  const Tensor x = count_up({1, 3, 2, 2}, 0, float32);
  CHECK(values(last(x.permute({0, 2, 3, 1})).permute({0, 3, 1, 2})) == values(first(x)));
}

TEST_CASE("an empty batch passes") {
  Conv2DTranspose layer({.num_channels = 3, .num_filters = 2, .filter_size = 2});
  CHECK(layer(zeros({0, 3, 4, 4})).shape() == Shape{0, 2, 5, 5});
}

TEST_CASE("a bad option is refused at construction, by name") {
  const auto fails = [](Options change, auto... words) {
    CHECK_THROWS_MATCHES(Conv2DTranspose(std::move(change)), InvalidArgument,
                         MessageContains("Conv2DTranspose", words...));
  };
  const Options good{.num_channels = 4, .num_filters = 4, .filter_size = 2};
  const auto with = [&](auto change) {
    Options o = good;
    change(o);
    return o;
  };
  fails(with([](Options& o) { o.num_channels = 0; }), "num_channels >= 1", "got 0");
  fails(with([](Options& o) { o.num_filters = -1; }), "num_filters >= 1", "got -1");
  fails(with([](Options& o) { o.filter_size = {2, 0}; }), "filter_size >= 1", "(2, 0)");
  fails(with([](Options& o) { o.output_size = 0; }), "output_size >= 1");
  fails(with([](Options& o) { o.padding = -1; }), "padding >= 0", "got top and bottom -1, left and right -1");
  fails(with([](Options& o) { o.padding = {0, 0, -2, 0}; }), "padding >= 0", "left -2");
  fails(with([](Options& o) { o.stride = 0; }), "stride >= 1");
  fails(with([](Options& o) { o.dilation = 0; }), "dilation >= 1");
  fails(with([](Options& o) { o.groups = 0; }), "groups >= 1");
  fails(with([](Options& o) { o.groups = 3; }), "groups do not divide num_channels", "groups = 3");
  fails(with([](Options& o) {
          o.num_filters = 6;
          o.groups = 4;
        }),
        "groups do not divide num_filters");
  fails(with([](Options& o) { o.param_attr = false; }), "param_attr must not be false");
  fails(with([](Options& o) { o.act = "rellu"; }), "act \"rellu\"", "fix: did you mean \"relu\"?");
  fails(with([](Options& o) { o.act = "prelu"; }), "act \"prelu\"", "fix: use the layer PRelu");
  fails(with([](Options& o) { o.dtype = int64; }), "got int64");
  fails(with([](Options& o) { o.output_padding = 1; }), "output_padding", "max(stride, dilation)");
  fails(with([](Options& o) {
          o.stride = 2;
          o.output_padding = 1;
          o.output_size = 4;
        }),
        "both given");
  CHECK_THROWS_MATCHES(with([](Options& o) { o.padding = "FULL"; }), InvalidArgument, MessageContains("FULL"));
  CHECK_THROWS_AS(with([](Options& o) { o.dtype = "float16"; }), DtypeError);
  CHECK_THROWS_AS(with([](Options& o) { o.data_format = "NCWH"; }), InvalidArgument);
}

TEST_CASE("an input that does not fit is refused with layer and shapes") {
  const UniqueNameGuard guard;
  Conv2DTranspose layer({.num_channels = 4, .num_filters = 2, .filter_size = 2});
  CHECK_THROWS_MATCHES(layer(zeros({1, 5, 4, 4})), ShapeError,
                       MessageContains("[1, 5, 4, 4]", "in layer conv2d_transpose_0"));
  CHECK_THROWS_AS(layer(zeros({4, 4, 4})), ShapeError);
  CHECK_THROWS_AS(layer(zeros({1, 4, 4, 4}, float64)), DtypeError);
}
