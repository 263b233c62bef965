// Functions of one number, and what they and their derivatives are: tests/data/accuracy/unary.txt, which reference.py
// wrote.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::testing {

/// A function at one number: its value and the first three derivatives.
struct UnaryPoint {
  double x;
  std::array<long double, 4> exact;
};

struct UnaryReference {
  std::string name;
  Tensor (*f)(const Tensor&);
  std::vector<UnaryPoint> points;
};

/// All of them, in the file's order.
const std::vector<UnaryReference>& unary_references();

/// What the library makes of them in one dtype, at those of the points that it has.
struct UnaryResults {
  std::vector<const UnaryPoint*> points;
  std::array<std::vector<double>, 3> got;  // value, first and second derivative
};
UnaryResults evaluate(const UnaryReference& reference, DType dtype);

/// The error of derivative `order` at a point, in units: a unit is the distance of neighbouring numbers at the exact
/// result, and what changing x by half its own unit makes of it, and where it underflows that of the smallest numbers
/// times 1 + |x|, since a factor of the result has underflowed before. Infinity for a NaN and for what should not have
/// overflowed.
double error_in_units(const UnaryPoint& point, int order, double got, DType dtype);

}  // namespace dygrad::testing
