#include <algorithm>
#include <cmath>

#include <dygrad/tests/accuracy/unary_table.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

namespace {

/// A handful of roundings, each of half a unit, or of one in a product of two that are rounded.
constexpr double kUnits = 16;

/// The derivatives of sigmoid and tanh follow from their outputs (which ops that end in them keep, and nothing else),
/// so an error of a unit in the output at its largest, 1, remains where the slope vanishes.
double output_rounding(std::string_view name, int order, DType dtype) {
  if (order == 0 || (name != "sigmoid" && name != "tanh")) return 0;
  return 4 * std::ldexp(1.0, dtype == float32 ? -23 : -52);
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
          const double exact = static_cast<double>(point.exact[static_cast<std::size_t>(order)]);
          CAPTURE(reference.name, name_of(dtype), order, point.x, got, exact);
          const bool is_near = std::abs(got - exact) <= output_rounding(reference.name, order, dtype);
          CHECK((is_near || error_in_units(point, order, got, dtype) <= kUnits));
        }
      }
    }
  }
}

}  // namespace dygrad::testing
