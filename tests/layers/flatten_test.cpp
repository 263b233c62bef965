#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/flatten.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("Flatten keeps the batch dimension") {
  Flatten layer;
  CHECK(layer(zeros({2, 3, 4, 5})).shape() == Shape{2, 60});
  Flatten inner({.start_axis = 2, .stop_axis = 3});
  CHECK(inner(zeros({2, 3, 4, 5})).shape() == Shape{2, 3, 20});
  CHECK_THROWS_AS(layer(zeros({2})), ShapeError);
}
