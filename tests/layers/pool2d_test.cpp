#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/pool2d.h>
#include <dygrad/tests/layers/values.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

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
