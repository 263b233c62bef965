#include <cmath>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/conv2d.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/tests/layers/values.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

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
