#include <dygrad/layers/batch_norm.h>

#include <cmath>
#include <limits>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
// Channel 0: 1, 3 (mean 2, variance 1). Channel 1: 0, 4 (mean 2, variance 4).
const auto batch = [] { return tensor({{1., 0.}, {3., 4.}}, float64); };
BatchNorm::Options options() { return {.num_channels = 2, .epsilon = 1e-12, .dtype = float64}; }
}  // namespace

TEST_CASE("BatchNorm normalises by the batch and follows it with moving averages", "[smoke]") {
  BatchNorm layer(options());
  const Tensor y = layer(batch());
  // Off by epsilon / 2 relative to a deviation of 1.
  CHECK_THAT(y.at({0, 0}), WithinAbs(-1, 1e-11));
  CHECK_THAT(y.at({1, 1}), WithinAbs(1, 1e-11));
  CHECK_THAT(layer.mean.at({0}), WithinAbs(0.2, 1e-15));
  CHECK_THAT(layer.variance.at({1}), WithinAbs(0.9 + 0.4, 1e-15));
}

TEST_CASE("BatchNorm in evaluation uses the moving averages and leaves them") {
  BatchNorm layer(options());
  layer.mean.set_value(tensor({1., 2.}, float64));
  layer.variance.set_value(tensor({4., 1.}, float64));
  layer.eval();
  const Tensor y = layer(batch());
  CHECK_THAT(y.at({1, 0}), WithinAbs(1, 1e-11));
  CHECK_THAT(y.at({0, 1}), WithinAbs(-2, 1e-11));
  CHECK(layer.mean.at({0}) == 1);
}

TEST_CASE("use_global_stats, trainable_statistics and is_test choose the statistics") {
  const auto moved = [](BatchNorm::Options o, bool evaluating) {
    BatchNorm layer(std::move(o));
    if (evaluating) layer.eval();
    layer(batch());
    return layer.mean.at({0}) != 0;
  };
  BatchNorm::Options global = options(), always = options(), test = options();
  global.use_global_stats = true;
  always.trainable_statistics = true;
  test.is_test = true;
  CHECK(moved(options(), false));
  CHECK(!moved(options(), true));
  CHECK(!moved(global, false));
  CHECK(moved(always, true));
  CHECK(!moved(test, false));
}

TEST_CASE("BatchNorm lists its moving averages as frozen parameters with Paddle's names") {
  const UniqueNameGuard guard;
  BatchNorm layer(options());
  std::vector<std::string> paths;
  for (const auto& [path, parameter] : layer.named_parameters()) paths.push_back(path);
  CHECK(paths == std::vector<std::string>{"weight", "bias", "_mean", "_variance"});
  CHECK(layer.weight.name() == "batch_norm_0.w_0");
  CHECK(layer.bias.name() == "batch_norm_0.b_0");
  CHECK(layer.mean.name() == "batch_norm_0.w_1");
  CHECK(layer.variance.name() == "batch_norm_0.w_2");
  CHECK(!layer.mean.trainable());
  layer(batch()).sum().backward();
  CHECK(layer.weight.grad().defined());
  CHECK(!layer.mean.grad().defined());
}

TEST_CASE("BatchNorm takes images in both orders") {
  BatchNorm first({.num_channels = 3}), last({.num_channels = 3, .act = "relu", .data_format = "NHWC"});
  const Tensor x = arange(24, float32).reshape({2, 3, 2, 2});
  const Tensor a = first(x);
  const Tensor b = last(x.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
  for (std::int64_t c = 0; c < 3; ++c) CHECK(b.at({1, c, 1, 1}) == std::max(a.at({1, c, 1, 1}), 0.0));
  CHECK(first.mean.to_vector<float>() == last.mean.to_vector<float>());
}

TEST_CASE("BatchNorm refuses impossible options") {
  CHECK_THROWS_MATCHES(BatchNorm({.num_channels = 0}), InvalidArgument,
                       MessageContains("BatchNorm", "num_channels >= 1"));
  CHECK_THROWS_AS(BatchNorm({.num_channels = 1, .momentum = 2}), InvalidArgument);
  CHECK_THROWS_AS(BatchNorm({.num_channels = 1, .epsilon = 0}), InvalidArgument);
  BatchNorm layer({.num_channels = 3});
  CHECK_THROWS_MATCHES(
      layer(zeros({2, 4})), ShapeError,
      MessageContains("batch_norm", "num_channels = 3 in dimension 1", "got 4", "fix", "num_channels = 4"));
  CHECK_THROWS_MATCHES(layer(zeros({2, 5, 5, 3})), ShapeError,
                       MessageContains("data_format NCHW", "data_format = \"NHWC\""));
  BatchNorm last({.num_channels = 3, .data_format = "NHWC"});
  CHECK_THROWS_MATCHES(last(zeros({2, 3, 5, 5})), ShapeError,
                       MessageContains("in dimension 3", "got 5", "data_format = \"NCHW\""));
  CHECK_THROWS_MATCHES(layer(zeros({2, 3}, float64)), DtypeError,
                       MessageContains("x float64, weight float32", ".dtype = dygrad::float64"));
}

TEST_CASE("statistics that were replaced by others must fit the channels, in training too") {
  const Tensor x = arange(0, 12, 1, float32).reshape({3, 4});
  for (const std::int64_t count : {2, 8}) {
    BatchNorm layer({.num_channels = 4});
    layer.mean = Parameter(zeros({count}));
    CHECK_THROWS_MATCHES(layer(x), ShapeError,
                         MessageContains("batch_norm: mean does not fit num_channels", "expected shape [4]", "fix: "));
    BatchNorm other({.num_channels = 4});
    other.variance = Parameter(ones({count}));
    CHECK_THROWS_MATCHES(other(x), ShapeError, MessageContains("batch_norm: variance does not fit"));
    CHECK(other.mean.to_vector<double>() == std::vector<double>(4));
  }
  BatchNorm layer({.num_channels = 4});
  layer.mean = Parameter(zeros({4}, float64));
  CHECK_THROWS_MATCHES(layer(x), DtypeError, MessageContains("batch_norm: mean has another dtype than x"));
}

TEST_CASE("statistics without weight in a moving average do not enter it") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  BatchNorm keeps({.num_channels = 2, .momentum = 1, .dtype = float64});
  (void)keeps(tensor({{kInfinity, 0.}, {3., 4.}}, float64));
  CHECK(keeps.mean.to_vector<double>() == std::vector<double>{0, 0});
  CHECK(keeps.variance.to_vector<double>() == std::vector<double>{1, 1});
  BatchNorm replaces({.num_channels = 2, .momentum = 0, .dtype = float64});
  replaces.mean.fill(kInfinity);
  (void)replaces(batch());
  CHECK(replaces.mean.to_vector<double>() == std::vector<double>{2, 2});
}
