#include <algorithm>
#include <cmath>
#include <utility>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/init/bilinear.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/init/fan.h>
#include <dygrad/layers/init/initializer.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
std::vector<double> filled(const Initializer& rule, const Shape& shape, DType dtype = float64) {
  Tensor value = Tensor::empty(shape, dtype);
  rule(value);
  return value.to_vector<double>();
}

double largest(const std::vector<double>& v) {
  double m = 0;
  for (double x : v) m = std::max(m, std::fabs(x));
  return m;
}

double deviation(const std::vector<double>& v) {
  double sum = 0;
  for (double x : v) sum += x * x;
  return std::sqrt(sum / static_cast<double>(v.size()));
}
}  // namespace

TEST_CASE("fans follow Paddle's rule", "[smoke]") {
  const auto fans = [](const Shape& shape) {
    const Fans f = fans_of(shape);
    return std::pair(f.in, f.out);
  };
  CHECK(fans({32, 2, 3, 3}) == std::pair(18., 288.));
  CHECK(fans({5, 7}) == std::pair(5., 7.));
  CHECK(fans({9}) == std::pair(9., 9.));
}

TEST_CASE("Xavier and MSRA stay within their limits and nearly reach them") {
  // Of n uniform draws the largest is below 0.95 of the limit with probability 0.95^n, which is below 1e-12 here.
  const auto fits = [](const Initializer& rule, const Shape& shape, double limit) {
    const double m = largest(filled(rule, shape));
    CHECK(m <= limit * (1 + 1e-6));
    CHECK(m > 0.95 * limit);
  };
  fits(Xavier{.seed = 1}, {32, 2, 3, 3}, 0.140028);
  fits(Xavier{.seed = 1}, {100, 64, 4, 4}, 0.047818);
  fits(Xavier{.fan_in = 2, .fan_out = 4, .seed = 1}, {1000}, 1);
  fits(MSRA{.seed = 1}, {32, 2, 8, 8}, std::sqrt(6. / 128));
  fits(MSRA{.fan_in = 6, .seed = 1}, {1000}, 1);
}

TEST_CASE("normal forms have their deviation") {
  // The deviation of n draws has relative standard error 1/sqrt(2 n); five of them are allowed.
  const auto fits = [](const Initializer& rule, double expected) {
    CHECK_THAT(deviation(filled(rule, {200, 50})), WithinRel(expected, 5 / std::sqrt(2. * 10000)));
  };
  fits(Normal{.scale = 0.02, .seed = 3}, 0.02);
  fits(Xavier{.uniform = false, .seed = 3}, std::sqrt(2. / 250));
  fits(MSRA{.uniform = false, .seed = 3}, std::sqrt(2. / 200));
  CHECK(largest(filled(TruncatedNormal{.scale = 0.5, .seed = 3}, {1000})) <= 1);
  const std::vector<double> u = filled(Uniform{.low = 2, .high = 3, .seed = 3}, {1000});
  CHECK(std::ranges::all_of(u, [](double v) { return v >= 2 && v < 3; }));
}

TEST_CASE("seed 0 moves the default generator on, another seed repeats itself") {
  manual_seed(5);
  const auto first = filled(Normal{}, {8}), second = filled(Normal{}, {8});
  CHECK(first != second);
  manual_seed(5);
  CHECK(filled(Normal{}, {8}) == first);
  CHECK(filled(Normal{.seed = 7}, {8}) == filled(Normal{.seed = 7}, {8}));
  CHECK(filled(Normal{.seed = 7}, {8}) != filled(Normal{.seed = 8}, {8}));
}

TEST_CASE("Bilinear makes the intended kernel in every plane") {
  const std::vector<double> row_a{1, 3, 3, 1}, row_b{3, 9, 9, 3};
  const std::vector<double> v = filled(Bilinear{}, {2, 1, 4, 4});
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::size_t y = i / 4 % 4, x = i % 4;
    CHECK(v[i] == (y == 0 || y == 3 ? row_a : row_b)[x] / 16);
  }
  const std::vector<double> odd = filled(Bilinear{}, {1, 1, 5, 5});
  for (std::size_t i = 0; i < odd.size(); ++i) {
    const double y = static_cast<double>(i / 5), x = static_cast<double>(i % 5);
    CHECK_THAT(odd[i], WithinAbs((1 - std::fabs(y - 2) / 3) * (1 - std::fabs(x - 2) / 3), 1e-15));
  }
  CHECK_THROWS_MATCHES(filled(Bilinear{}, {1, 1, 3, 4}), ShapeError,
                       MessageContains("Bilinear", "square", "[1, 1, 3, 4]"));
}

TEST_CASE("Constant and Assign set values") {
  CHECK(filled(Constant{.value = 3}, {2}) == std::vector<double>{3, 3});
  CHECK(filled(Assign{tensor({1., 2.})}, {2}) == std::vector<double>{1, 2});
  CHECK_THROWS_MATCHES(filled(Assign{tensor({1., 2.})}, {3}), ShapeError, MessageContains("Assign", "[3]", "[2]"));
  CHECK_THROWS_AS(filled(Assign{}, {3}), InvalidArgument);
}

TEST_CASE("impossible fans and ranges are refused") {
  CHECK_THROWS_MATCHES(filled(Xavier{.fan_in = -1}, {2, 2}), InvalidArgument,
                       MessageContains("Xavier", "fan_in", "-1"));
  CHECK_THROWS_AS(filled(MSRA{.fan_in = 0}, {2, 2}), InvalidArgument);
  CHECK_THROWS_AS(filled(Uniform{.low = 1, .high = 0}, {2}), InvalidArgument);
  CHECK_THROWS_AS(filled(Normal{.scale = -1}, {2}), InvalidArgument);
}

TEST_CASE("a global initializer replaces defaults, not explicit ones") {
  set_global_initializer(Constant{.value = 2}, Constant{.value = 3});
  const Linear layer({.input_dim = 1, .output_dim = 1});
  const Linear explicit_one({.input_dim = 1, .output_dim = 1, .param_attr = Constant{.value = 5}});
  set_global_initializer({}, {});
  CHECK(layer.weight.item() == 2);
  CHECK(layer.bias.item() == 3);
  CHECK(explicit_one.weight.item() == 5);
  CHECK(Linear({.input_dim = 1, .output_dim = 1}).bias.item() == 0);
}

TEST_CASE("global initializers are copied and destroyed outside of any lock") {
  // One that comes back to where it is kept, from its copies and from its end.
  struct ComesBack {
    ComesBack() = default;
    ComesBack(const ComesBack&) { come_back(); }
    ~ComesBack() { come_back(); }
    static void come_back() {
      static bool is_back = false;
      if (std::exchange(is_back, true)) return;
      for (bool is_bias : {false, true}) detail::global_initializer(is_bias);
      is_back = false;
    }
    void operator()(Tensor& x) const { x.fill(3); }
  };
  set_global_initializer(ComesBack{}, ComesBack{});
  CHECK(Linear({.input_dim = 1, .output_dim = 1}).weight.item() == 3);
  set_global_initializer(ComesBack{});
  set_global_initializer({});
  CHECK(!detail::global_initializer(false));
}

TEST_CASE("an empty initializer fills nothing, and says so") {
  Tensor value = zeros({1});
  CHECK_THROWS_MATCHES(Initializer()(value), InvalidArgument, MessageContains("Initializer: it is empty", "fix:"));
  Initializer rule = Constant{.value = 1};
  const Initializer moved = std::move(rule);
  CHECK_THROWS_AS(rule(value), InvalidArgument);
  moved(value);
  CHECK(value.item() == 1);
}
