#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/elementwise/detail/checked_map.h>
#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/simd/vector_math.h>

namespace dygrad {

namespace {

// Note [Derivatives of a^b]
// With L = log a and the falling factorial (b)_m = b (b - 1) ... (b - m + 1), the derivative of a^b, m times in a and n
// times in b, is a^(b - m) times the n-th derivative of (b)_m e^(L t) in b, at t = 0: a polynomial in L. That is a
// closed form for every order, from a and b alone. It has limits that IEEE arithmetic misses as 0 * inf: 0 where a^(b -
// m) goes to 0, however large the logarithm, and where the polynomial is 0. dy/db counts as 0 at a = b = 0, too.

/// The polynomial, and its product with a^(b - m) and g.
template <class T>
struct PowTerm {
  int m, n;

  T polynomial(T a, T b) const {
    std::array<T, 8> few{};
    std::vector<T> many(n < 8 ? 0 : static_cast<std::size_t>(n) + 1);
    T* const taylor = many.empty() ? few.data() : many.data();  // of (b)_m
    taylor[0] = 1;
    for (int i = 0; i < m; ++i) {
      for (int k = n; k > 0; --k) taylor[k] = taylor[k] * (b - static_cast<T>(i)) + taylor[k - 1];
      taylor[0] *= b - static_cast<T>(i);
    }
    const T logarithm = n > 0 ? vec::log(a) : T{0};
    T sum = taylor[0], factor = 1;
    for (int k = 1; k <= n; ++k) {
      factor *= static_cast<T>(n - k + 1);
      sum = (sum == 0 ? T{0} : sum * logarithm) + factor * taylor[k];
    }
    return sum;
  }

  T operator()(T g, T a, T b) const {
    if (n > 0 && (a < 0 || a != a)) return std::numeric_limits<T>::quiet_NaN();
    if (n > 0 && m == 0 && a == 0 && b == 0) return g * 0;
    const T exponent = b - static_cast<T>(m), power = std::pow(a, exponent), factor = polynomial(a, b);
    if (factor == 0) return g * 0;
    const T magnitude = std::abs(a);
    if (g == 0 && std::isfinite(a) && std::isfinite(b) && a != 0 && power == power) return g * factor;
    const bool is_out_of_range = power == power && !is_normal(power);
    if (is_out_of_range && magnitude > 0 && magnitude <= kMax && std::abs(exponent) <= kMax) {
      const T half = std::pow(magnitude, exponent / 2);  // the power alone is out of range, not yet the product
      return g * factor * half * std::copysign(half, power);
    }
    return power == 0 ? g * power : g * factor * power;
  }

  /// The same for m = 1 and n = 0, g b a^(b - 1), without a loop where the power is in range.
  static T in_base(T g, T a, T b) {
    const T power = std::pow(a, b - 1);
    return b != 0 && is_normal(power) ? g * b * power : PowTerm{1, 0}(g, a, b);
  }

  static constexpr T kMax = std::numeric_limits<T>::max();
  static bool is_normal(T v) { return std::abs(v) >= std::numeric_limits<T>::min() && std::abs(v) <= kMax; }
};

// x^n: n x^(n-1). n = 0 gives 0 also where the power is infinite.
struct PowScalar : detail::SavesInput {
  static constexpr std::string_view name = "pow";
  double exponent;
  auto forward(auto x) const { return std::pow(x, detail::constant_like(x, exponent)); }
  template <class T>
  T vjp(T g, T x) const {
    return exponent == 0 ? T{0} : PowTerm<T>::in_base(g, x, static_cast<T>(detail::constant_like(x, exponent)));
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& x) const {
    const double factor = exponent * (exponent - 1);
    return factor == 0 ? zeros_like(p) : p * pow(x, exponent - 2) * factor;
  }
};

struct PowDerivative {
  static constexpr std::string_view name = "pow_grad";
  int m, n;
  Tensor power = {};  // a^b, detached, if it is at hand; for the first call of forward alone

  Tensor forward(const Tensor& g, const Tensor& a, const Tensor& b) {
    if (m == 1 && n == 0) {
      return kernel::map(
          name, []<class T>(T gg, T u, T v) { return PowTerm<T>::in_base(gg, u, v); }, g, a, b);
    }
    if (const Tensor y = std::exchange(power, Tensor()); m == 0 && n == 1 && y.defined()) {
      if (std::optional<Tensor> result = from_power(g, y, a)) return *std::move(result);
    }
    return kernel::map(
        name,
        [m = m, n = n]<class T>(T gg, T u, T v) {
          return PowTerm<T>{m, n}(gg, u, v);
        },
        g, a, b);
  }
  /// g a^b log a, from a^b; nothing if that is out of range.
  static std::optional<Tensor> from_power(const Tensor& g, const Tensor& power, const Tensor& a) {
    std::atomic<bool> is_known = true;
    const Tensor result = dispatch_float(a.dtype(), name, [&]<class T>() {
      const auto product = [](T& out, T gg, T y, T u) {
        constexpr T kMin = std::numeric_limits<T>::min(), kMax = std::numeric_limits<T>::max();
        const int is_zero = (int{u == 0} & int{y <= kMax}) | (int{u > kMax} & int{y == 0});
        out = gg * (is_zero ? T{0} : vec::log(u)) * y;
        return (is_zero | (int{y >= kMin} & int{y <= kMax})) != 0;
      };
      const auto give_up = [&](std::int64_t, const auto*...) { is_known.store(false, std::memory_order_relaxed); };
      return detail::checked_map<T>(product, give_up, g, power, a);
    });
    return is_known ? std::optional(result) : std::nullopt;
  }

  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0, need[1] || need[2]) | save_input(1) | save_input(2);
  }
  Grads<3> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    const Tensor &a = saved[1], &b = saved[2];
    Grads<3> grads;
    if (need[0]) grads[0] = apply(PowDerivative{m, n}, h, a, b);
    if (!need[1] && !need[2]) return grads;
    const Tensor hg = h * saved[0];
    if (need[1]) grads[1] = apply(PowDerivative{m + 1, n}, hg, a, b);
    if (need[2]) grads[2] = apply(PowDerivative{m, n + 1}, hg, a, b);
    return grads;
  }
};

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
    Grads<2> grads;
    if (need[0]) grads[0] = apply(PowDerivative{1, 0}, g, saved[0], saved[1]);
    if (need[1]) grads[1] = apply(PowDerivative{0, 1, saved.output().detach()}, g, saved[0], saved[1]);
    return grads;
  }
};

}  // namespace

Tensor pow(const Tensor& a, const Tensor& b) { return detail::apply_broadcast(Pow{}, a, b); }

Tensor pow(const Tensor& a, double exponent) {
  detail::check_defined("pow", "a", a);
  if (!is_floating(a.dtype())) detail::fail_not_floating("pow", a.dtype());
  if (exponent == 1) return a * 1;
  if (exponent == 2) return square(a);
  if (exponent == 0.5) return sqrt(a);
  if (exponent == -1) return reciprocal(a);
  return detail::apply_unary(PowScalar{{}, exponent}, a);
}

}  // namespace dygrad
