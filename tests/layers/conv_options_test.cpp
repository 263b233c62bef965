// Errors of the options of convolution and pooling layers.
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/conv2d.h>
#include <dygrad/layers/conv2d_transpose.h>
#include <dygrad/layers/pool2d.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using dygrad::testing::MessageContains;

TEST_CASE("negative padding of a layer says on which side") {
  const auto make = [](const Padding2D& padding) {
    return Conv2DTranspose({.num_channels = 1, .num_filters = 1, .filter_size = 3, .padding = padding});
  };
  CHECK_THROWS_MATCHES(make({0, -1}), InvalidArgument,
                       MessageContains("Conv2DTranspose: padding", "expected padding >= 0",
                                       "top and bottom 0, left and right -1", "fix:"));
  CHECK_THROWS_MATCHES(make({0, -2, 0, 1}), InvalidArgument, MessageContains("top 0, bottom -2, left 0, right 1"));
  CHECK_THROWS_MATCHES(make({{0, 0}, {0, 0}, {0, 0}, {-3, 0}}), InvalidArgument, MessageContains("{-3, 0}"));
  CHECK_THROWS_MATCHES(Conv2D({.num_channels = 1, .num_filters = 1, .filter_size = 3, .padding = {-1, 0}}),
                       InvalidArgument, MessageContains("Conv2D: padding", "top and bottom -1"));
}

TEST_CASE("options out of range name layer and option, what was expected and got, and the fix") {
  CHECK_THROWS_MATCHES(
      Conv2D({.num_filters = 1, .filter_size = 3}), InvalidArgument,
      MessageContains("Conv2D: num_channels", "expected num_channels >= 1, got 0", "fix: set .num_channels"));
  CHECK_THROWS_MATCHES(
      Conv2DTranspose(
          {.num_channels = 1, .num_filters = 1, .filter_size = 3, .output_size = 7, .stride = 2, .output_padding = 1}),
      InvalidArgument,
      MessageContains("Conv2DTranspose", "expected one of them", "got output_size (7, 7) and output_padding (1, 1)",
                      "fix:"));
  CHECK_THROWS_MATCHES(Conv2D({.num_channels = 1, .num_filters = 1, .filter_size = 3, .dtype = int64}), DtypeError,
                       MessageContains("Conv2D", "expected dtype float32 or float64", "got int64", "fix:"));
  CHECK_THROWS_MATCHES(Conv2D({.num_channels = 1, .num_filters = 1, .filter_size = 3, .dtype = "half"}), DtypeError,
                       MessageContains("dtype", "Conv2D", "got \"half\"", "fix:"));
  Pool2D pool({.global_pooling = true, .data_format = "NHWC"});
  CHECK_THROWS_MATCHES(pool(zeros({3, 3})), ShapeError,
                       MessageContains("Pool2D", "expected x of rank 4 (N, H, W, C)", "got [3, 3]", "fix:"));
}

TEST_CASE("an input of another dtype is advised to follow the layer, or the layer to follow it") {
  Conv2DTranspose layer({.num_channels = 1, .num_filters = 1, .filter_size = 3});
  CHECK_THROWS_MATCHES(layer(zeros({1, 1, 4, 4}, float64)), DtypeError,
                       MessageContains("conv2d_transpose", "got x float64, w float32", "x.to(dygrad::float32)",
                                       "construct the layer with dtype = \"float64\"", "in layer conv2d_transpose_"));
}
