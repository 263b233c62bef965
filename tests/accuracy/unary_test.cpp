#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>

#include <dygrad/tests/accuracy/unary_table.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {

/// A handful of roundings, each of half a unit, or of one in a product of two that are rounded.
constexpr double kUnits = 8;

/// The derivatives of sigmoid and tanh follow from their outputs (ops that end in them keep nothing else), so where the
/// slope vanishes the rounding of outputs near 1 remains: their error is given in units of 1.
bool follows_from_output(std::string_view name, int order) {
  return order > 0 && (name == "sigmoid" || name == "tanh");
}

double error_at(const UnaryReference& reference, const UnaryPoint& point, int order, double got, DType dtype) {
  const double error = error_in_units(point, order, got, dtype);
  if (!follows_from_output(reference.name, order)) return error;
  const double apart = std::abs(got - static_cast<double>(point.exact[static_cast<std::size_t>(order)]));
  return std::min(error, std::ldexp(apart, dtype == float32 ? 23 : 52));
}

double worst_error(const UnaryReference& reference, const UnaryResults& results, int order, DType dtype) {
  double worst = 0;
  for (std::size_t i = 0; i < results.points.size(); ++i) {
    const double got = results.got[static_cast<std::size_t>(order)][i];
    worst = std::max(worst, error_at(reference, *results.points[i], order, got, dtype));
  }
  return worst;
}

}  // namespace

TEST_CASE("functions and two derivatives have their exact values at numbers of every size") {
  for (const UnaryReference& reference : unary_references()) {
    for (const DType dtype : {float32, float64}) {
      const UnaryResults results = evaluate(reference, dtype);
      for (int order = 0; order < 3; ++order) {
        for (std::size_t i = 0; i < results.points.size(); ++i) {
          const UnaryPoint& point = *results.points[i];
          const double got = results.got[static_cast<std::size_t>(order)][i];
          CAPTURE(reference.name, name_of(dtype), order, point.x, got, point.exact[static_cast<std::size_t>(order)]);
          CHECK(error_at(reference, point, order, got, dtype) <= kUnits);
        }
      }
    }
  }
}

// What report.py puts into docs/accuracy.md.
TEST_CASE("the table of errors", "[.table]") {
  for (const UnaryReference& reference : unary_references()) {
    std::cout << "| " << reference.name;
    for (const DType dtype : {float32, float64}) {
      const UnaryResults results = evaluate(reference, dtype);
      for (int order = 0; order < 3; ++order) {
        const double worst = worst_error(reference, results, order, dtype);
        std::cout << " | " << std::fixed << std::setprecision(1) << worst
                  << (follows_from_output(reference.name, order) ? " of 1" : "");
      }
    }
    std::cout << " |\n";
  }
  CHECK(!unary_references().empty());
}

}  // namespace dygrad::testing
