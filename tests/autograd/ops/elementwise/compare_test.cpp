#include <cmath>
#include <limits>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {
std::vector<std::int64_t> flags(const Tensor& x) {
  REQUIRE(x.dtype() == boolean);
  return x.to_vector<std::int64_t>();
}
}  // namespace

TEST_CASE("Comparisons give bools, broadcast, and are false for NaN but for !=") {
  const Tensor a = tensor({1., 2., std::nan("")});
  const Tensor two = tensor({2.});
  CHECK(flags(a == two) == std::vector<std::int64_t>{0, 1, 0});
  CHECK(flags(a != two) == std::vector<std::int64_t>{1, 0, 1});
  CHECK(flags(a < two) == std::vector<std::int64_t>{1, 0, 0});
  CHECK(flags(a <= two) == std::vector<std::int64_t>{1, 1, 0});
  CHECK(flags(a > two) == std::vector<std::int64_t>{0, 0, 0});
  CHECK(flags(a >= two) == std::vector<std::int64_t>{0, 1, 0});
}

TEST_CASE("Comparisons with a number use the tensor's precision, and fractions for whole numbers") {
  CHECK(flags(tensor({0.1}) == 0.1) == std::vector<std::int64_t>{1});
  CHECK(flags(tensor({2, 3}) < 2.5) == std::vector<std::int64_t>{1, 0});
  CHECK(flags(tensor({2, 3}) >= 3) == std::vector<std::int64_t>{0, 1});
  CHECK(flags(tensor({200}, uint8) > -1) == std::vector<std::int64_t>{1});
  CHECK(flags(tensor({1., 2.}) != 2) == std::vector<std::int64_t>{1, 0});
  CHECK(flags(tensor({1., 2.}) <= 1) == std::vector<std::int64_t>{1, 0});
}

TEST_CASE("Comparisons do not record") {
  Tensor x = ones({2}).set_stop_gradient(false);
  CHECK((x > 0).stop_gradient());
}

TEST_CASE("Logic works on bools only") {
  const Tensor a = tensor({true, true, false});
  const Tensor b = tensor({true, false, false});
  CHECK(flags(logical_and(a, b)) == std::vector<std::int64_t>{1, 0, 0});
  CHECK(flags(logical_or(a, b)) == std::vector<std::int64_t>{1, 1, 0});
  CHECK(flags(logical_not(b)) == std::vector<std::int64_t>{0, 1, 1});
  CHECK_THROWS_MATCHES(logical_not(tensor({1})), DtypeError, MessageContains("logical_not", "int64", "x != 0"));
}

TEST_CASE("isnan and isfinite tell values apart") {
  const Tensor x = tensor({1., std::numeric_limits<double>::infinity(), std::nan("")});
  CHECK(flags(isnan(x)) == std::vector<std::int64_t>{0, 0, 1});
  CHECK(flags(isfinite(x)) == std::vector<std::int64_t>{1, 0, 0});
  CHECK(flags(isfinite(tensor({7}))) == std::vector<std::int64_t>{1});
}

}  // namespace dygrad::testing
