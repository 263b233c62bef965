// Norms over a whole gradient, the same for any number of threads. For the optimizers' .cpp files.
#pragma once

#include <dygrad/core/tensor.h>

namespace dygrad::detail {

/// Sum of the squares of a dense floating-point tensor, in float64.
double sum_of_squares(const Tensor& dense);

}  // namespace dygrad::detail
