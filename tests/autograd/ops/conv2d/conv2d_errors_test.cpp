// Errors of convolutions name the op, what was expected and got, what it follows from, and what to do.
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {

constexpr std::int64_t kHuge = std::int64_t{1} << 46;  // more bytes than an address space has

}  // namespace

TEST_CASE("a result too large for memory names the op and what made it large") {
  const Tensor x = zeros({1, 1, 3, 3}), w = zeros({1, 1, 2, 2});
  CHECK_THROWS_MATCHES(
      conv2d_transpose(x, w, {}, {.stride = {kHuge, 1}}), OutOfMemory,
      MessageContains("conv2d_transpose: ", "no memory left", "asked for", "stride (70368744177664, 1)",
                      "dilation (1, 1)", "y [1, 1, 140737488355330, 4]", "fix:"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x, w, {}, {.dilation = {1, kHuge}}), OutOfMemory,
                       MessageContains("conv2d_transpose: ", "dilation (1, 70368744177664)"));
  CHECK_THROWS_MATCHES(conv2d(x, w, {}, {.padding = {kHuge, 0}}), OutOfMemory,
                       MessageContains("conv2d: ", "padding (70368744177664, 0)", "x [1, 1, 140737488355330, 2]"));
}

TEST_CASE("a result with more bytes than 64 bits can count names the op and what made it large") {
  const Tensor x = zeros({1, 1, 3, 3}), w = zeros({1, 1, 2, 2});
  CHECK_THROWS_MATCHES(
      conv2d_transpose(x, w, {}, {.stride = kHuge}), ShapeError,
      MessageContains("conv2d_transpose: ", "x [1, 1, 3, 3]", "stride (70368744177664, 70368744177664)",
                      "expected at most 2^63 - 1 bytes", "got [1, 1, 140737488355330, 140737488355330]", "fix:"));
  CHECK_THROWS_MATCHES(conv2d(x, w, {}, {.padding = kHuge}), ShapeError,
                       MessageContains("conv2d: ", "padding (70368744177664, 70368744177664)", "2^63", "fix:"));
  CHECK_THROWS_MATCHES(
      conv2d(x, w, {}, {.padding = std::int64_t{1} << 62}), ShapeError,
      MessageContains("conv2d: the padded height does not fit", "top 4611686018427387904", "expected", "got", "fix:"));
}

TEST_CASE("channels that are the last extent hint at the data format, and the other way round") {
  const Tensor w = zeros({3, 8, 2, 2}), forward_w = zeros({8, 3, 2, 2});
  CHECK_THROWS_MATCHES(
      conv2d_transpose(zeros({2, 5, 6, 3}), w), ShapeError,
      MessageContains("expected w.shape[0] == C == 5, got 3", "x.shape[3] is 3", "data_format = \"NHWC\""));
  CHECK_THROWS_MATCHES(
      conv2d(zeros({2, 5, 6, 3}), forward_w), ShapeError,
      MessageContains("expected w.shape[1] == C/groups == 5, got 3", "x.shape[3] is 3", "data_format = \"NHWC\""));
  CHECK_THROWS_MATCHES(conv2d(zeros({2, 3, 6, 5}), forward_w, {}, {.data_format = "NHWC"}), ShapeError,
                       MessageContains("x [2, 3, 6, 5]  (N, H, W, C)", "x.shape[1] is 3", "data_format = \"NCHW\""));
  CHECK_THROWS_MATCHES(conv2d(zeros({2, 5, 6, 7}), forward_w), ShapeError, !MessageContains("data_format"));
}

TEST_CASE("output_size is refused with the interval of both axes and what it follows from") {
  const Tensor x = zeros({1, 1, 3, 4}), w = zeros({1, 1, 3, 2});
  const Conv2DTransposeOptions both{.stride = {2, 3}, .padding = {1, 0}, .dilation = {2, 1}, .output_size = {5, 14}};
  CHECK_THROWS_MATCHES(
      conv2d_transpose(x, w, {}, both), ShapeError,
      MessageContains("conv2d_transpose: output_size is too small along one axis and large along the other.",
                      "x [1, 1, 3, 4]", "w [1, 1, 3, 2]", "stride (2, 3)", "padding top 1, bottom 1, left 0, right 0",
                      "dilation (2, 1)", "an output height in [7, 9) and an output width in [11, 14)", "got 5 and 14",
                      "7 for the height and 13 for the width"));
  const Conv2DTransposeOptions one{.stride = {2, 3}, .padding = {1, 0}, .dilation = {2, 1}, .output_size = {9, 13}};
  CHECK_THROWS_MATCHES(
      conv2d_transpose(x, w, {}, one), ShapeError,
      MessageContains("too large", "expected an output height in [7, 9), got 9", "fix: use 8 for the height") &&
          !MessageContains("width in"));
}

TEST_CASE("an extent of 0 is named") {
  CHECK_THROWS_MATCHES(conv2d(zeros({1, 2, 3, 0}), zeros({1, 2, 1, 1})), ShapeError,
                       MessageContains("x.shape[3] = W >= 1", "got 0", "fix:"));
  CHECK_THROWS_MATCHES(conv2d(zeros({1, 0, 3, 2}), zeros({1, 2, 1, 1}), {}, {.data_format = "NHWC"}), ShapeError,
                       MessageContains("x.shape[1] = H >= 1", "got 0"));
  CHECK_THROWS_MATCHES(conv2d(zeros({1, 2, 3, 3}), zeros({1, 2, 0, 1})), ShapeError,
                       MessageContains("w.shape[2] = kh >= 1", "got 0", "fix:"));
  CHECK_THROWS_MATCHES(conv2d_transpose(zeros({1, 2, 3, 3}), zeros({2, 0, 1, 1})), ShapeError,
                       MessageContains("w.shape[1] = O/groups >= 1", "got 0"));
}

TEST_CASE("different dtypes advise to convert the input, or to make the layer of its dtype") {
  const Tensor w = zeros({1, 1, 2, 2}), x = zeros({1, 1, 3, 3}, float64);
  CHECK_THROWS_MATCHES(
      conv2d(x, w), DtypeError,
      MessageContains("conv2d: ", "got x float64, w float32", "x.to(dygrad::float32)", "dtype = \"float64\""));
  CHECK_THROWS_MATCHES(
      conv2d(x.to(int64), w), DtypeError,
      MessageContains("got x int64, w float32", "x.to(dygrad::float32)") && !MessageContains("construct"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x, w.to(float64), zeros({1})), DtypeError,
                       MessageContains("bias float32", "b.to(dygrad::float64)"));
  CHECK_THROWS_MATCHES(conv2d(x, w.to(int64)), DtypeError, MessageContains("w int64", "w.to(dygrad::float64)"));
  CHECK_THROWS_MATCHES(conv2d(x.to(uint8), w.to(int64)), DtypeError,
                       MessageContains("x uint8, w int64", "both", "float32"));
}

TEST_CASE("words that are not known name the options that take them") {
  CHECK_THROWS_MATCHES(
      DataFormat("NWHC"), InvalidArgument,
      MessageContains("data_format", "Conv2DTranspose", "Pool2D", "got \"NWHC\"", "fix: use \"NHWC\""));
  CHECK_THROWS_MATCHES(DataFormat("CHW"), InvalidArgument, MessageContains("fix: use \"NCHW\""));
  CHECK_THROWS_MATCHES(Padding2D("half"), InvalidArgument,
                       MessageContains("padding", "Conv2DTranspose", "got \"half\"", "fix:"));
}

TEST_CASE("every refused argument comes with a fix") {
  const Tensor x = zeros({1, 2, 3, 3}), w = zeros({2, 2, 2, 2});
  const auto run = [&](const Conv2DOptions& options) { return conv2d(x, w, {}, options); };
  CHECK_THROWS_MATCHES(run({.stride = 0}), InvalidArgument,
                       MessageContains("conv2d: ", "expected", "got (0, 0)", "fix:"));
  CHECK_THROWS_MATCHES(run({.groups = -1}), InvalidArgument, MessageContains("conv2d: ", "expected", "got -1", "fix:"));
  CHECK_THROWS_MATCHES(run({.padding = -1}), InvalidArgument,
                       MessageContains("conv2d: ", "expected", "got top -1", "fix:"));
  CHECK_THROWS_MATCHES(run({.padding = {{1, 0}, {0, 0}, {0, 0}, {0, 0}}}), InvalidArgument,
                       MessageContains("expected", "{1, 0} for the batch", "fix: give {{0, 0}, {0, 0}, {top, bottom}"));
  CHECK_THROWS_MATCHES(run({.dilation = 3}), ShapeError,
                       MessageContains("dilation (3, 3)", "expected", "got 0", "fix: use more"));
  CHECK_THROWS_MATCHES(run({.groups = 3}), ShapeError, MessageContains("expected", "got groups 3", "fix:"));
  CHECK_THROWS_MATCHES(conv2d(x, w, zeros({5})), ShapeError, MessageContains("expected b [2]", "got [5]", "fix:"));
  CHECK_THROWS_MATCHES(conv2d(x, zeros({2, 2, 2})), ShapeError, MessageContains("expected w of rank 4", "got", "fix:"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x, w, {}, {.output_padding = 1}), ShapeError,
                       MessageContains("stride (1, 1)", "expected a value in [0, 1)", "got 1", "fix:"));
}

TEST_CASE("convolutions name the operand that is undefined") {
  const Tensor none, x = ones({1, 1, 3, 3}), w = ones({1, 1, 2, 2});
  CHECK_THROWS_MATCHES(conv2d_transpose(none, w), InvalidArgument,
                       MessageContains("conv2d_transpose: x was used before"));
  CHECK_THROWS_MATCHES(conv2d_transpose(x, none), InvalidArgument,
                       MessageContains("conv2d_transpose: w was used before"));
  CHECK_THROWS_MATCHES(conv2d(none, w), InvalidArgument, MessageContains("conv2d: x was used before"));
  CHECK_THROWS_MATCHES(conv2d(x, none), InvalidArgument, MessageContains("conv2d: w was used before"));
}
