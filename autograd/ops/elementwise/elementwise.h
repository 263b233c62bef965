// Elementwise arithmetic. Two tensors broadcast by numpy's rule and must have equal dtypes (DtypeError); a number takes
// the tensor's dtype. Results keep the memory order of their inputs. float32 and float64 unless said otherwise.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

// int64 and uint8 too, wrapping around as in numpy; gradients for floating-point. A number added to or multiplied with
// such a tensor must be whole and in range (DtypeError).
DYGRAD_API Tensor add(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor sub(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor mul(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor neg(const Tensor& x);
/// a / b by the rules of IEEE. Floating-point only.
DYGRAD_API Tensor div(const Tensor& a, const Tensor& b);

DYGRAD_API Tensor add(const Tensor& a, double b);
DYGRAD_API Tensor mul(const Tensor& a, double b);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor operator+(const Tensor& a, double b) { return add(a, b); }
inline Tensor operator+(double a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Tensor& a, double b) { return add(a, -b); }
inline Tensor operator-(double a, const Tensor& b) { return add(neg(b), a); }
inline Tensor operator*(const Tensor& a, double b) { return mul(a, b); }
inline Tensor operator*(double a, const Tensor& b) { return mul(b, a); }
DYGRAD_API Tensor operator/(const Tensor& a, double b);
DYGRAD_API Tensor operator/(double a, const Tensor& b);

/// a^b elementwise; a^exponent. d/da = b a^(b - 1), by IEEE at a = 0, but 0 for b = 0 whatever a is; NaN for a < 0 and
/// a fractional b. d/db = a^b log a: 0 at a = 0 for b >= 0, NaN for a < 0. Floating-point only (DtypeError), also where
/// the result would be whole.
DYGRAD_API Tensor pow(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor pow(const Tensor& a, double exponent);

DYGRAD_API Tensor exp(const Tensor& x);
DYGRAD_API Tensor log(const Tensor& x);
DYGRAD_API Tensor log1p(const Tensor& x);
DYGRAD_API Tensor expm1(const Tensor& x);
DYGRAD_API Tensor sqrt(const Tensor& x);
/// 1 / sqrt(x).
DYGRAD_API Tensor rsqrt(const Tensor& x);
DYGRAD_API Tensor square(const Tensor& x);
/// 1 / x.
DYGRAD_API Tensor reciprocal(const Tensor& x);
/// |x|; derivative sign(x), 0 at 0.
DYGRAD_API Tensor abs(const Tensor& x);
/// -1, 0 or 1; derivative 0.
DYGRAD_API Tensor sign(const Tensor& x);
/// Rounding; `round` takes halves away from zero. Derivative 0.
DYGRAD_API Tensor ceil(const Tensor& x);
DYGRAD_API Tensor floor(const Tensor& x);
DYGRAD_API Tensor round(const Tensor& x);
/// Gauss's error function.
DYGRAD_API Tensor erf(const Tensor& x);

DYGRAD_API Tensor sin(const Tensor& x);
DYGRAD_API Tensor cos(const Tensor& x);
DYGRAD_API Tensor tan(const Tensor& x);
DYGRAD_API Tensor asin(const Tensor& x);
DYGRAD_API Tensor acos(const Tensor& x);
DYGRAD_API Tensor atan(const Tensor& x);
DYGRAD_API Tensor sinh(const Tensor& x);
DYGRAD_API Tensor cosh(const Tensor& x);
DYGRAD_API Tensor tanh(const Tensor& x);
DYGRAD_API Tensor asinh(const Tensor& x);
DYGRAD_API Tensor acosh(const Tensor& x);
DYGRAD_API Tensor atanh(const Tensor& x);

/// Into [low, high]; derivative 1 inside and at both bounds, where other libraries may differ, 0 outside. NaN stays
/// NaN. Throws InvalidArgument if low > high.
DYGRAD_API Tensor clip(const Tensor& x, double low, double high);
/// The larger; on a tie each side gets half the gradient. NaN propagates. int64 and uint8 too.
DYGRAD_API Tensor maximum(const Tensor& a, const Tensor& b);
/// The smaller; ties and NaN as in maximum.
DYGRAD_API Tensor minimum(const Tensor& a, const Tensor& b);

// Comparisons: bool tensors, any equal dtypes, broadcasting; no gradient.
DYGRAD_API Tensor equal(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor not_equal(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor less(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor less_equal(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor greater(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor greater_equal(const Tensor& a, const Tensor& b);
inline Tensor operator==(const Tensor& a, const Tensor& b) { return equal(a, b); }
inline Tensor operator!=(const Tensor& a, const Tensor& b) { return not_equal(a, b); }
inline Tensor operator<(const Tensor& a, const Tensor& b) { return less(a, b); }
inline Tensor operator<=(const Tensor& a, const Tensor& b) { return less_equal(a, b); }
inline Tensor operator>(const Tensor& a, const Tensor& b) { return greater(a, b); }
inline Tensor operator>=(const Tensor& a, const Tensor& b) { return greater_equal(a, b); }
DYGRAD_API Tensor operator==(const Tensor& a, double b);
DYGRAD_API Tensor operator!=(const Tensor& a, double b);
DYGRAD_API Tensor operator<(const Tensor& a, double b);
DYGRAD_API Tensor operator<=(const Tensor& a, double b);
DYGRAD_API Tensor operator>(const Tensor& a, double b);
DYGRAD_API Tensor operator>=(const Tensor& a, double b);
/// bool tensors.
DYGRAD_API Tensor logical_and(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor logical_or(const Tensor& a, const Tensor& b);
DYGRAD_API Tensor logical_not(const Tensor& x);
DYGRAD_API Tensor isnan(const Tensor& x);
DYGRAD_API Tensor isfinite(const Tensor& x);

/// condition ? a : b, with broadcasting; `condition` is a bool tensor, a and b have one dtype, any. What was not chosen
/// gets a gradient of 0, which goes on through the op that computed it, and if that op's derivative is infinite there,
/// 0 times it is NaN: at x = 0, where(x > 0, sqrt(x), zeros_like(x)) is 0 with a gradient of NaN. Choose before the op,
/// too, so that it never sees such a number:
///   const Tensor inside = x > 0;
///   const Tensor y = where(inside, sqrt(where(inside, x, ones_like(x))), zeros_like(x));
DYGRAD_API Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

}  // namespace dygrad
