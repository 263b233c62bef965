#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/layers/values.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

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
