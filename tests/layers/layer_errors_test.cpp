// Errors of layers, and the names that they print.
#include <vector>

#include <dygrad/autograd/debug/graph.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/batch_norm.h>
#include <dygrad/layers/conv2d.h>
#include <dygrad/layers/conv2d_transpose.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/pool2d.h>
#include <dygrad/layers/prelu.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

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

TEST_CASE("layers of another dtype than their input say how to choose it") {
  const auto says = MessageContains("x float32, weight float64", "x.to(dygrad::float64)", ".dtype = dygrad::float32");
  CHECK_THROWS_MATCHES(Linear({.input_dim = 2, .output_dim = 1, .dtype = float64})(ones({3, 2})), DtypeError,
                       MessageContains("linear") && says);
  CHECK_THROWS_MATCHES(PRelu({.dtype = float64})(ones({3, 2})), DtypeError, MessageContains("prelu") && says);
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
