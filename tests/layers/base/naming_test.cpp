#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/activation.h>
#include <dygrad/layers/base/naming.h>
#include <dygrad/layers/base/parameter.h>
#include <dygrad/layers/conv2d_transpose.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
struct MyGenerator : Layer {
  using Layer::Layer;
};
template <class T>
struct ConvBNLayer : Layer {};
}  // namespace

TEST_CASE("class names become snake case by Paddle's rule", "[smoke]") {
  CHECK(detail::snake_case("Conv2DTranspose") == "conv2d_transpose");
  CHECK(detail::snake_case("PRelu") == "p_relu");
  CHECK(detail::snake_case("UNet") == "u_net");
  CHECK(detail::snake_case("MyGenerator") == "my_generator");
  CHECK(detail::snake_case("Pool2D") == "pool2d");
  CHECK(detail::snake_case("linear") == "linear");
}

TEST_CASE("layers are named after their class and counted") {
  const UniqueNameGuard guard;
  const MyGenerator first, second;
  CHECK(first.full_name() == "my_generator_0");
  CHECK(second.full_name() == "my_generator_1");
  CHECK(first.full_name() == "my_generator_0");
  CHECK(ConvBNLayer<int>().full_name() == "conv_bn_layer_0");
  CHECK(MyGenerator("encoder").full_name() == "encoder_0");
}

TEST_CASE("a guard restarts the counters, and the former ones go on after it") {
  const UniqueNameGuard outer;
  CHECK(MyGenerator().full_name() == "my_generator_0");
  {
    const UniqueNameGuard inner;
    CHECK(MyGenerator().full_name() == "my_generator_0");
  }
  CHECK(MyGenerator().full_name() == "my_generator_1");
}

TEST_CASE("parameters are named by layer and kind") {
  const UniqueNameGuard guard;
  const Conv2DTranspose first({.num_channels = 1, .num_filters = 1, .filter_size = 2});
  const Conv2DTranspose second({.num_channels = 1, .num_filters = 1, .filter_size = 2});
  CHECK(first.weight.name() == "conv2d_transpose_0.w_0");
  CHECK(first.bias.name() == "conv2d_transpose_0.b_0");
  CHECK(second.weight.name() == "conv2d_transpose_1.w_0");
  MyGenerator custom;
  CHECK(custom.create_parameter({.shape = {2}}).name() == "my_generator_0.w_0");
  CHECK(custom.create_parameter({.shape = {2}}).name() == "my_generator_0.w_1");
  CHECK(custom.create_parameter({.shape = {2}, .is_bias = true}).name() == "my_generator_0.b_0");
}

TEST_CASE("a user's name replaces the generated one, and is free again when its parameter is gone") {
  const UniqueNameGuard guard;
  {
    const Linear layer({.input_dim = 2, .output_dim = 2, .param_attr = "shared"});
    CHECK(layer.weight.name() == "shared");
    CHECK_THROWS_MATCHES(Linear({.input_dim = 2, .output_dim = 2, .param_attr = "shared"}), InvalidArgument,
                         MessageContains("\"shared\" exists already", "fix: "));
    const Parameter copy = layer.weight;
    CHECK(copy.name() == "shared");
  }
  CHECK_NOTHROW(Linear({.input_dim = 2, .output_dim = 2, .param_attr = "shared"}));
  CHECK_THROWS_MATCHES(Linear({.input_dim = 2, .output_dim = 2, .param_attr = "same", .bias_attr = "same"}),
                       InvalidArgument, MessageContains("\"same\" is given to two parameters"));
}

TEST_CASE("a failed construction takes no name") {
  const UniqueNameGuard guard;
  CHECK_THROWS_AS(Linear({.input_dim = 0, .output_dim = 2, .param_attr = "w"}), InvalidArgument);
  CHECK_THROWS_AS(Linear({.input_dim = 2, .output_dim = 2, .param_attr = "w", .bias_attr = "w"}), InvalidArgument);
  const auto failing = [](Tensor&) { throw InvalidArgument("no"); };
  CHECK_THROWS_AS(Linear({.input_dim = 2, .output_dim = 2, .param_attr = "w", .bias_attr = failing}), InvalidArgument);
  const Linear layer({.input_dim = 2, .output_dim = 2, .param_attr = "w"});
  CHECK(layer.full_name() == "linear_0");
  CHECK(layer.weight.name() == "w");
}

TEST_CASE("a parameter made alone is counted too") {
  const UniqueNameGuard guard;
  const Parameter first(ones({2})), second(ones({2}), {.name = "mine"});
  CHECK(first.name() == "parameter_0");
  CHECK(second.name() == "mine");
  CHECK(Parameter().name().empty());
}
