#include <dygrad/autograd/ops/elementwise/detail/number_check.h>

#include <cmath>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad::detail {

void check_not_nan(std::string_view op, std::string_view argument, double number) {
  if (!std::isnan(number)) return;
  throw InvalidArgument(Message(op, "an argument is not a number.")
                            .expected("a number for {}", argument)
                            .got("{}", number)
                            .fix("look at how {} was computed", argument));
}

void check_finite(std::string_view op, std::string_view argument, double number, DType dtype) {
  if (std::isfinite(rounded_to(dtype, number))) return;
  throw InvalidArgument(Message(op, "an argument is not finite.")
                            .expected("a number for {} that is finite in {}", argument, dtype)
                            .got("{}", number)
                            .fix("let {} be of moderate size", argument));
}

void check_divisor(std::string_view op, std::string_view argument, double number, DType dtype) {
  check_finite(op, argument, number, dtype);
  if (rounded_to(dtype, number) != 0) return;
  throw InvalidArgument(Message(op, "a divisor is zero.")
                            .expected("a number for {} that is not 0 in {}", argument, dtype)
                            .got("{}", number)
                            .fix("let {} be further from 0", argument));
}

void check_finite(std::string_view op, std::string_view argument, double number, const Tensor& x) {
  check_defined(op, "x", x);
  check_finite(op, argument, number, x.dtype());
}

void check_divisor(std::string_view op, std::string_view argument, double number, const Tensor& x) {
  check_defined(op, "x", x);
  check_divisor(op, argument, number, x.dtype());
}

void check_ordered(std::string_view op, std::string_view bounds, double low, double high) {
  if (low <= high) return;
  const bool is_nan = std::isnan(low) || std::isnan(high);
  throw InvalidArgument(Message(op, is_nan ? "a bound is not a number." : "the bounds are in the wrong order.")
                            .expected("{}", bounds)
                            .got("{} and {}", low, high)
                            .fix("{}", is_nan ? "give an infinity where there is no bound" : "swap them"));
}

}  // namespace dygrad::detail
