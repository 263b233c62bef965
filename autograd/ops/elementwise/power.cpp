#include <cmath>
#include <limits>

#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>

namespace dygrad {

namespace {

// x^n: n x^(n-1). n = 0 gives 0 also where the power is infinite.
struct PowScalar : detail::SavesInput {
  static constexpr std::string_view name = "pow";
  double exponent;
  auto forward(auto x) const { return std::pow(x, detail::constant_like(x, exponent)); }
  auto vjp(auto g, auto x) const {
    if (exponent == 0) return decltype(x){0};
    const auto power = std::pow(x, detail::constant_like(x, exponent - 1));
    if (std::isinf(power) && x > 0 && !std::isinf(x)) {  // the power alone may overflow where g * n * power does not
      const auto half = std::pow(x, detail::constant_like(x, (exponent - 1) / 2));
      return g * detail::constant_like(x, exponent) * half * half;
    }
    return g * detail::constant_like(x, exponent) * power;
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& x) const {
    const double factor = exponent * (exponent - 1);
    return factor == 0 ? zeros_like(p) : p * pow(x, exponent - 2) * factor;
  }
};

// y = a^b: dy/da = b a^(b-1), dy/db = y log a. These have limits that IEEE arithmetic misses as 0 * inf: dy/da = 0 for
// b = 0 whatever a is, and dy/db = 0 for a = 0, b >= 0 and for infinite a, b < 0. There the infinite factor is computed
// for other operands.
struct Pow {
  static constexpr std::string_view name = "pow";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map(
        name, [](auto u, auto v) { return std::pow(u, v); }, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0) | save_input(1) | save_output(need[1]);
  }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    const Tensor& a = saved[0];
    const Tensor& b = saved[1];
    const Tensor one = ones({}, a.dtype());
    Grads<2> grads;
    if (need[0]) {
      const Tensor is_indeterminate = logical_and(b == 0, logical_not(isfinite(reciprocal(a.detach()))));
      grads[0] = g * b * pow(where(is_indeterminate, zeros({}, a.dtype()), a), where(is_indeterminate, one, b - 1));
    }
    if (need[1]) {
      const Tensor at_infinity = logical_and(a == std::numeric_limits<double>::infinity(), b < 0);
      const Tensor base = where(logical_or(logical_and(a == 0, b >= 0), at_infinity), one, a);
      grads[1] = g * saved.output() * log(base);
    }
    return grads;
  }
};

}  // namespace

Tensor pow(const Tensor& a, const Tensor& b) { return detail::apply_broadcast(Pow{}, a, b); }

Tensor pow(const Tensor& a, double exponent) {
  if (!is_floating(a.dtype())) detail::fail_not_floating("pow", a.dtype());
  if (exponent == 1) return a * 1;
  if (exponent == 2) return square(a);
  if (exponent == 0.5) return sqrt(a);
  if (exponent == -1) return reciprocal(a);
  return detail::apply_unary(PowScalar{{}, exponent}, a);
}

}  // namespace dygrad
