// Tensors of every layout that views can have.
#pragma once

#include <string>

#include <dygrad/core/tensor/tensor.h>
#include <dygrad/tests/property/random_source.h>

namespace dygrad::testing {

/// Where values come from: multiples of 1/16, shifted so that no function used here has a kink near one of them.
enum class Domain { any, positive, unit, above_one, flags, counts };

/// Dense, in either order, transposed, a window of a larger tensor, back to front, repeated, overlapping, or with odd
/// strides where extents are 1.
Tensor random_tensor(Random& random, const Shape& shape, DType dtype, Domain domain = Domain::any);
/// Dense float64 with values that all differ, also from those of another `number`.
Tensor distinct_tensor(Random& random, const Shape& shape, Domain domain, int number);

DType random_float(Random& random);
DType random_dtype(Random& random);

/// "float32 [2, 3] strides [3, 1]".
std::string describe(const Tensor& x);

}  // namespace dygrad::testing
