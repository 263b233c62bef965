// One line per function of one tensor: its name, itself, an independent formula of its value and derivative in long
// double, and points away from kinks. check_unary() runs everything that holds for all of them.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

struct UnaryCase {
  std::string name;
  Tensor (*f)(const Tensor&);
  long double (*value)(long double);
  long double (*derivative)(long double);
  std::vector<double> points;  // sums of few powers of two, so that float32 holds them exactly
};

/// A handful of roundings (16 at most), on intermediate results no larger than 1 + |x| + |y|.
inline double rounding_bound(DType dtype, double x, double y) {
  const double epsilon = dtype == DType::float32 ? static_cast<double>(std::numeric_limits<float>::epsilon())
                                                 : std::numeric_limits<double>::epsilon();
  return 16 * epsilon * (1 + std::abs(x) + std::abs(y));
}

inline void check_values_and_slopes(const UnaryCase& each, DType dtype) {
  Tensor x = from_vector(each.points).to(dtype);
  x.set_stop_gradient(false);
  const Tensor y = each.f(x);
  REQUIRE(y.dtype() == dtype);
  y.backward(ones_like(y));
  for (std::size_t i = 0; i < each.points.size(); ++i) {
    const double point = each.points[i];
    CAPTURE(each.name, name_of(dtype), point);
    const auto value = static_cast<double>(each.value(point));
    const auto slope = static_cast<double>(each.derivative(point));
    CHECK(std::abs(y.at({i}) - value) <= rounding_bound(dtype, point, value));
    CHECK(std::abs(x.grad().at({i}) - slope) <= rounding_bound(dtype, point, slope) * (1 + std::abs(slope)));
  }
}

inline void check_unary(const UnaryCase& each) {
  INFO("function " << each.name);
  check_values_and_slopes(each, DType::float64);
  check_values_and_slopes(each, DType::float32);

  const Tensor x = from_vector(each.points);
  const auto report = check_grads(std::function<Tensor(const Tensor&)>(each.f), x, {.order = 2});
  INFO(report.text);
  CHECK(report.ok);

  const double point = each.points.front();
  CHECK(each.f(full({}, point, DType::float64)).shape() == Shape());
  CHECK(each.f(zeros({0, 3})).shape() == Shape(0, 3));
  const Tensor image = kernel::clone(full({2, 3, 4, 5}, point), MemoryFormat::channels_last);
  CHECK(each.f(image).is_contiguous(MemoryFormat::channels_last));
}

}  // namespace dygrad::testing
