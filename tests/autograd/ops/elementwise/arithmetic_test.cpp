#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

using Binary = std::function<Tensor(const Tensor&, const Tensor&)>;

TEST_CASE("Arithmetic of two tensors broadcasts as numpy does") {
  const Tensor a = tensor({{1.}, {2.}});
  const Tensor b = tensor({10., 20., 40.});
  CHECK((a + b).shape() == Shape(2, 3));
  CHECK((a + b).to_vector<float>() == std::vector<float>{11, 21, 41, 12, 22, 42});
  CHECK((a - b).to_vector<float>() == std::vector<float>{-9, -19, -39, -8, -18, -38});
  CHECK((a * b).to_vector<float>() == std::vector<float>{10, 20, 40, 20, 40, 80});
  CHECK((b / a).to_vector<float>() == std::vector<float>{10, 20, 40, 5, 10, 20});
}

TEST_CASE("Gradients of arithmetic agree with differences to second order, broadcast or not") {
  const Tensor a = tensor({{0.5, -1.25, 2.}, {3., 0.75, -0.5}}, float64);
  const Tensor same = tensor({{1.5, 2., -1.}, {0.25, -3., 1.}}, float64);
  const Tensor row = tensor({2., -0.5, 1.25}, float64);
  const Tensor column = tensor({{2.}, {-0.75}}, float64);
  const Tensor scalar = full({}, 1.5, float64);
  for (const Tensor& b : {same, row, column, scalar}) {
    CAPTURE(b.shape().rank());
    for (Tensor (*f)(const Tensor&, const Tensor&) : {add, sub, mul, div}) {
      const auto report = check_grads(Binary(f), a, b, {.order = 2});
      INFO(report.text);
      CHECK(report.ok);
      const auto swapped = check_grads(Binary(f), b, a + 8, {.order = 2});
      INFO(swapped.text);
      CHECK(swapped.ok);
    }
  }
}

TEST_CASE("Gradients of arithmetic with a number agree with differences to second order") {
  const Tensor x = tensor({0.5, -1.25, 2.}, float64);
  const std::function<Tensor(const Tensor&)> functions[] = {
      [](const Tensor& t) { return t + 2; }, [](const Tensor& t) { return 2 - t; },
      [](const Tensor& t) { return t * 3; }, [](const Tensor& t) { return t / 3; },
      [](const Tensor& t) { return 3 / t; }, [](const Tensor& t) { return -t; }};
  for (const auto& f : functions) {
    const auto report = check_grads(f, x, {.order = 2});
    INFO(report.text);
    CHECK(report.ok);
  }
}

TEST_CASE("Whole-number tensors add, subtract and multiply, and wrap around") {
  const Tensor a = tensor({1, 2, 3});
  CHECK((a * a - 1).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 3, 8});
  CHECK((-a).to_vector<std::int64_t>() == std::vector<std::int64_t>{-1, -2, -3});
  const Tensor bytes = tensor({0, 200}, uint8);
  CHECK((bytes - 1).to_vector<std::int64_t>() == std::vector<std::int64_t>{255, 199});
  CHECK((bytes + bytes).to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 144});
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  const Tensor edge = from_vector(std::vector<std::int64_t>{largest});
  CHECK((edge + edge).item<std::int64_t>() == -2);
}

TEST_CASE("A number that a whole-number tensor cannot hold is refused") {
  CHECK_THROWS_MATCHES(tensor({1, 2}) * 0.5, DtypeError, MessageContains("mul", "int64", "0.5", "to(float32)"));
  CHECK_THROWS_MATCHES(tensor({1, 2}, uint8) + 300, DtypeError, MessageContains("add", "uint8", "300"));
  CHECK_THROWS_MATCHES(tensor({1, 2}) + std::nan(""), DtypeError, MessageContains("nan"));
  CHECK_THROWS_MATCHES(tensor({1, 2}) / 2, DtypeError, MessageContains("div", "int64"));
}

TEST_CASE("Operands of unequal dtype or shape are refused") {
  CHECK_THROWS_MATCHES(ones({2}) + ones({2}, float64), DtypeError,
                       MessageContains("add", "float32", "float64", "to(dtype)"));
  CHECK_THROWS_MATCHES(ones({2}) * ones({3}), ShapeError, MessageContains("mul", "[2]", "[3]"));
  CHECK_THROWS_AS(tensor({true}) + tensor({true}), DtypeError);
}

TEST_CASE("Arithmetic keeps the memory order, also next to a broadcast operand") {
  const Tensor image = kernel::clone(ones({2, 3, 4, 5}), MemoryFormat::channels_last);
  const Tensor bias = ones({1, 3, 1, 1});
  CHECK((image + bias).is_contiguous(MemoryFormat::channels_last));
  CHECK((bias + image).is_contiguous(MemoryFormat::channels_last));
  CHECK((image * 2).is_contiguous(MemoryFormat::channels_last));
}

TEST_CASE("Arithmetic on views, empty tensors and rank 0 works") {
  const Tensor x = tensor({{1., 2., 3.}, {4., 5., 6.}});
  CHECK((transpose(x, 0, 1) + transpose(x, 0, 1)).to_vector<float>() == std::vector<float>{2, 8, 4, 10, 6, 12});
  CHECK((zeros({0, 3}) + ones({3})).shape() == Shape(0, 3));
  CHECK((full({}, 2) * full({}, 3)).item() == 6);
}

TEST_CASE("Division follows IEEE at zero") {
  const auto y = (tensor({1., -1., 0.}) / tensor({0., 0., 0.})).to_vector<float>();
  CHECK(y[0] == std::numeric_limits<float>::infinity());
  CHECK(y[1] == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(y[2]));
}

TEST_CASE("A divisor's gradient neither overflows nor vanishes on the way") {
  struct Row {
    double a, b;
  };
  for (const DType dtype : {float32, float64}) {
    const bool is_single = dtype == float32;
    const double epsilon = is_single ? 0x1p-23 : 0x1p-52;
    const double tiny = is_single ? 0x1p-140 : 0x1p-1060, huge = is_single ? 0x1p126 : 0x1p1022;
    const Row rows[] = {{0, tiny}, {tiny * 3, tiny * 2}, {0, huge}, {huge, huge}, {huge, 0x1p60}, {tiny, 0x1p-20}};
    for (const Row& row : rows) {
      Tensor a = full({1}, row.a, dtype), b = full({1}, row.b, dtype).set_stop_gradient(false);
      CAPTURE(name_of(dtype), row.a, row.b);
      const double quotient = row.a / row.b;
      double exact = -quotient / row.b;
      if (is_single) exact = static_cast<double>(static_cast<float>(exact));
      const double allowed = 4 * (epsilon * std::abs(exact) + (is_single ? 0x1p-149 : 0x1p-1074));
      for (const double slope : {grad(a / b, b).item(), grad(row.a / b, b).item()})
        CHECK((slope == exact || std::abs(slope - exact) <= allowed));
    }
  }
}

namespace {

/// Both signs, magnitudes spread over all normal numbers of the dtype.
template <class T>
std::vector<T> any_magnitude(std::size_t count, std::uint32_t seed) {
  using Limits = std::numeric_limits<T>;
  std::mt19937_64 engine(seed);
  std::vector<T> values(count);
  for (T& value : values) {
    const auto exponents = static_cast<std::uint64_t>(Limits::max_exponent - Limits::min_exponent);
    const int exponent = Limits::min_exponent + static_cast<int>(engine() % exponents);
    const auto significand = static_cast<T>(1 + std::ldexp(static_cast<double>(engine() >> 11), -53));
    value = std::ldexp(engine() % 2 == 0 ? significand : -significand, exponent - 1);
  }
  return values;
}

/// Compares with long double, whose exponents hold all products, but where a result is out of the dtype's range.
template <class T>
bool agrees_in_range(T got, long double want) {
  if (std::abs(want) > std::numeric_limits<T>::max()) return true;
  // Three quotients and two products; below the smallest normal number, a unit of the denormal ones each.
  return std::isfinite(got) && std::abs(static_cast<long double>(got) - want) <=
                                   5 * std::numeric_limits<T>::epsilon() * std::abs(want) +
                                       5 * static_cast<long double>(std::numeric_limits<T>::denorm_min());
}

template <class T>
void check_quotients_of_any_magnitude() {
  constexpr std::size_t kCount = 20000;
  const std::vector<T> a = any_magnitude<T>(kCount, 1), b = any_magnitude<T>(kCount, 2),
                       g = any_magnitude<T>(kCount, 3);
  Tensor ta = from_vector(a), tb = from_vector(b), tg = from_vector(g);
  for (Tensor* t : {&ta, &tb, &tg}) t->set_stop_gradient(false);
  const std::vector<Tensor> first = grad({ta / tb}, {ta, tb}, {.grad_outputs = {tg}, .create_graph = true});
  const std::vector<Tensor> second = grad({first[1].sum()}, {ta, tb, tg});
  const std::vector<Tensor> third = grad({(3. / tb)}, {tb}, {.grad_outputs = {tg}});
  const auto da = first[0].to_vector<T>(), db = first[1].to_vector<T>(), db_da = second[0].to_vector<T>(),
             db_db = second[1].to_vector<T>(), db_dg = second[2].to_vector<T>(), of_number = third[0].to_vector<T>();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    const long double u = a[i], v = b[i], w = g[i];
    const bool right = agrees_in_range(da[i], w / v) && agrees_in_range(db[i], -w * u / v / v) &&
                       agrees_in_range(db_da[i], -w / v / v) && agrees_in_range(db_db[i], 2 * w * u / v / v / v) &&
                       agrees_in_range(db_dg[i], -u / v / v) && agrees_in_range(of_number[i], -w * 3 / v / v);
    if (!right && ++wrong == 1) {
      INFO(a[i] << " / " << b[i] << ", g " << g[i] << ": " << db[i] << ", " << db_da[i] << ", " << db_db[i] << ", "
                << db_dg[i] << ", " << of_number[i]);
      CHECK(right);
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("Derivatives of quotients are right wherever they are in the dtype's range") {
  check_quotients_of_any_magnitude<float>();
  check_quotients_of_any_magnitude<double>();
}

TEST_CASE("A divisor's gradient is infinite where its quotient is, whatever its products are") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const Tensor a = tensor({kInf, 1.F, 1e-25F, -1e-25F, 1e30F}).set_stop_gradient(false);
  const Tensor b = tensor({2e19F, 2e19F, 0.F, 0.F, kInf}).set_stop_gradient(false);
  const Tensor g = tensor({1.F, kInf, 1e-25F, 1e-25F, 1e30F});
  const Tensor slope = grad({a / b}, {b}, {.grad_outputs = {g}})[0];
  CHECK(slope.to_vector<float>() == std::vector<float>{-kInf, -kInf, -kInf, kInf, 0});
  const Tensor x = tensor({1e30F}).set_stop_gradient(false);
  const Tensor first = grad({kInf / x}, {x}, {.create_graph = true})[0];
  CHECK(first.item() == -kInf);
  CHECK(grad({first}, {x})[0].item() == kInf);
}

TEST_CASE("A quotient's second derivative does not overflow by its factor of two") {
  const Tensor a = tensor({1.F}).set_stop_gradient(false), b = tensor({10.F}).set_stop_gradient(false);
  const Tensor first = grad({a / b}, {b}, {.create_graph = true})[0];
  const Tensor second = grad({first}, {b}, {.grad_outputs = {tensor({2e38F})}})[0];
  CHECK(second.item() == Approx(4e35));
}

TEST_CASE("Derivatives of quotients agree with differences to third order, on views too") {
  const Tensor a = tensor({{0.5, -1.25, 2.}, {3., 0.75, -0.5}}, float64);
  const Tensor b = tensor({{1.5, -2.}, {2.5, 0.75}, {-1., 1.}}, float64);
  const auto quotient = [](const Tensor& x, const Tensor& y) { return x / transpose(y, 0, 1); };
  const auto report = check_grads(Binary(quotient), a, b, {.order = 3});
  INFO(report.text);
  CHECK(report.ok);
}

TEST_CASE("Zeros over numbers, and numbers over zeros, have the derivatives of IEEE") {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  Tensor a = tensor({0., 2., 0., 1e30}), b = tensor({4., 0., 1e-30, kInf}).set_stop_gradient(false);
  const auto db = grad({a / b}, {b}, {.grad_outputs = {tensor({1., 1., 1e30, 1.})}})[0].to_vector<float>();
  CHECK(db == std::vector<float>{-0.f, -kInf, -0.f, -0.f});
}

}  // namespace dygrad::testing
