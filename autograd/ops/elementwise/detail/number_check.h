// Checks of numbers that ops take as double and round to the dtype of their tensors. For the .cpp files of
// autograd/ops.
#pragma once

#include <string_view>

#include <dygrad/core/base/detail/rounded.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// Throws InvalidArgument, in the name of `op`, if the number is NaN.
void check_not_nan(std::string_view op, std::string_view argument, double number);
/// Throws InvalidArgument, in the name of `op`, unless the number is finite in the dtype.
void check_finite(std::string_view op, std::string_view argument, double number, DType dtype);
/// Throws InvalidArgument, in the name of `op`, unless the number is finite and not 0 in the dtype.
void check_divisor(std::string_view op, std::string_view argument, double number, DType dtype);
/// The same for an argument beside x, which must be defined.
void check_finite(std::string_view op, std::string_view argument, double number, const Tensor& x);
void check_divisor(std::string_view op, std::string_view argument, double number, const Tensor& x);
/// Throws InvalidArgument, in the name of `op`, unless low <= high. `bounds` is that condition in the user's words.
void check_ordered(std::string_view op, std::string_view bounds, double low, double high);

}  // namespace dygrad::detail
