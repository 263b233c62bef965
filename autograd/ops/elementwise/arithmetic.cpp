#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <limits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/elementwise/detail/checked_map.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>

namespace dygrad {

namespace detail {
void fail_mixed_dtypes(std::string_view op, const Tensor& a, const Tensor& b) {
  throw DtypeError(Message(op, "the operands have different dtypes.")
                       .line("a {} {}, b {} {}", name_of(a.dtype()), a.shape(), name_of(b.dtype()), b.shape())
                       .expected("equal dtypes")
                       .got("{} and {}", name_of(a.dtype()), name_of(b.dtype()))
                       .fix("convert one of them with to(dtype)"));
}
}  // namespace detail

namespace {

using detail::apply_broadcast;

// Integers wrap around as in numpy; for int64 that is only defined in unsigned arithmetic.
template <class T>
auto wrapping(T value) {
  if constexpr (std::same_as<T, std::int64_t>) return static_cast<std::uint64_t>(value);
  else return value;
}

// A checked number as an element; negative ones wrap for uint8, so that image - 1 is what it looks like.
template <class T>
T as_element(double number) {
  if constexpr (std::integral<T>) return static_cast<T>(static_cast<std::int64_t>(number));
  else return static_cast<T>(number);
}

[[noreturn]] void fail_number(std::string_view op, const Tensor& x, double number) {
  throw DtypeError(Message(op, "the number does not fit the tensor's dtype.")
                       .line("tensor {} {}, number {}", name_of(x.dtype()), x.shape(), number)
                       .expected("a whole number in the range of {}", name_of(x.dtype()))
                       .got("{}", number)
                       .fix("convert the tensor first: x.to(float32)"));
}

void check_number(std::string_view op, const Tensor& x, double number) {
  if (is_floating(x.dtype())) return;
  const double limit = x.dtype() == DType::uint8 ? 255 : 9.2e18;
  if (!(std::abs(number) <= limit) || number != std::trunc(number)) fail_number(op, x, number);
}

struct Add {
  static constexpr std::string_view name = "add";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map_numeric(
        name, [](auto u, auto v) { return wrapping(u) + wrapping(v); }, a, b);
  }
  static Grads<2> vjp(const Tensor& g, const Saved&, NeedsGrad need) {
    return {need[0] ? g : Tensor(), need[1] ? g : Tensor()};
  }
};

struct Sub {
  static constexpr std::string_view name = "sub";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map_numeric(
        name, [](auto u, auto v) { return wrapping(u) - wrapping(v); }, a, b);
  }
  static Grads<2> vjp(const Tensor& g, const Saved&, NeedsGrad need) {
    return {need[0] ? g : Tensor(), need[1] ? neg(g) : Tensor()};
  }
};

struct Mul {
  static constexpr std::string_view name = "mul";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map_numeric(
        name, [](auto u, auto v) { return wrapping(u) * wrapping(v); }, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(1, need[0]) | save_input(0, need[1]); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? mul(g, saved[1]) : Tensor(), need[1] ? mul(g, saved[0]) : Tensor()};
  }
};

// Note [Quotients in range]
// The derivatives of a / b in b, -g a / b^2 and 2 h g a / b^3, may be in range where a / b, or another intermediate
// result, is not. Blocks are computed as (g a) / (b b), with a single division, and looked through once more where one
// of the products was not a normal number: there the significands and the exponents are computed apart.

template <class T>
bool is_normal(T value) {
  return std::abs(value) >= std::numeric_limits<T>::min() && std::abs(value) <= std::numeric_limits<T>::max();
}

/// factor times the product of the numerators, over b to the power of their number.
template <class T, std::size_t N>
T scaled_quotient(double factor, const std::array<T, N>& numerators, T b) {
  int exponent = 0;
  const double divisor = std::frexp(static_cast<double>(b), &exponent);
  exponent *= -static_cast<int>(N);
  double result = factor;
  for (const T numerator : numerators) {
    int own = 0;
    result = result * std::frexp(static_cast<double>(numerator), &own) / divisor;
    exponent += own;
  }
  return std::ldexp(static_cast<T>(result), exponent);
}

/// The same as IEEE 754 has it, where an operand is not finite or b is 0: no infinity cancels another, or meets a 0,
/// that only a product on the way made.
template <class T, std::size_t N>
T limit_of_quotient(double factor, const std::array<T, N>& numerators, T b) {
  const bool is_infinite = std::any_of(numerators.begin(), numerators.end(), [](T v) { return std::isinf(v); });
  T result = numerators[0], others = static_cast<T>(factor);
  for (std::size_t i = 1; i < N; ++i) (is_infinite ? result : others) *= numerators[i];
  for (std::size_t i = 0; i < N; ++i) result /= b;
  return others * result;
}

/// out = g a / b^2. Returns whether the products were normal numbers; without branches, for vectors.
template <class T>
bool divide_by_square(T& out, T g, T a, T b) {
  const T product = g * a, square = b * b;
  out = product / square;
  return (int{is_normal(square)} & (int{is_normal(product)} | int{g == 0} | int{a == 0})) != 0;
}

/// 2 h g a / b^3
template <class T>
T cubed_quotient(T h, T g, T a, T b) {
  T over_square;
  const bool is_in_range = divide_by_square(over_square, g, a, b);
  const T over_cube = over_square / b;
  const bool is_finite = std::isfinite(h) && std::isfinite(g) && std::isfinite(a) && std::isfinite(b) && b != 0;
  if (is_in_range && is_normal(over_square) && is_normal(over_cube)) return 2 * (h * over_cube);
  return is_finite ? scaled_quotient<T, 3>(2, {h, g, a}, b) : limit_of_quotient<T, 3>(2, {h, g, a}, b);
}

/// 2 h g a / b^3. A loop of its own over dense copies: kernel::map takes three inputs at most.
struct DivisorGradGrad {
  static constexpr std::string_view name = "div_grad_grad";
  static Tensor forward(const Tensor& h, const Tensor& g, const Tensor& a, const Tensor& b) {
    const MemoryFormat format = b.memory_format().value_or(MemoryFormat::row_major);
    const Tensor result = Tensor::empty(b.shape(), b.dtype(), format);
    const std::array<Tensor, 4> dense{kernel::contiguous(h, format), kernel::contiguous(g, format),
                                      kernel::contiguous(a, format), kernel::contiguous(b, format)};
    dispatch_float(b.dtype(), name, [&]<class T>() {
      T* const out = result.mutable_data<T>();
      parallel_for(result.num_elements(), kernel::kElementwiseGrain, [&](std::int64_t begin, std::int64_t end) {
        const T *const hh = dense[0].data<T>(), *const gg = dense[1].data<T>();
        const T *const aa = dense[2].data<T>(), *const bb = dense[3].data<T>();
        for (std::int64_t i = begin; i < end; ++i) out[i] = cubed_quotient(hh[i], gg[i], aa[i], bb[i]);
      });
    });
    return result;
  }
  static SaveForBackward save_for_backward(NeedsGrad) {
    return save_input(0) | save_input(1) | save_input(2) | save_input(3);
  }
  static Grads<4> vjp(const Tensor& k, const Saved& saved, NeedsGrad need) {
    const Tensor &h = saved[0], &g = saved[1], &a = saved[2], &b = saved[3];
    const auto of = [&](const Tensor& x, const Tensor& y, const Tensor& z) {
      return apply(DivisorGradGrad{}, x, y, z, b);
    };
    Grads<4> grads;
    if (need[0]) grads[0] = of(k, g, a);
    if (need[1]) grads[1] = of(h, k, a);
    if (need[2]) grads[2] = of(h, g, k);
    if (need[3]) grads[3] = div(mul(of(mul(h, k), g, a), -3), b);
    return grads;
  }
};

/// -g a / b^2, what the divisor b gets of the gradient of a / b.
struct DivisorGrad {
  static constexpr std::string_view name = "div_grad";
  static Tensor forward(const Tensor& g, const Tensor& a, const Tensor& b) {
    return dispatch_float(b.dtype(), name, [&]<class T>() {
      const auto divide = [](T& out, T gg, T u, T v) { return divide_by_square(out, -gg, u, v); };
      const auto repair = [](std::int64_t n, T* out, const T* gg, const T* u, const T* v) {
        for (std::int64_t i = 0; i < n; ++i) {
          const bool is_finite = std::isfinite(gg[i]) && std::isfinite(u[i]) && std::isfinite(v[i]) && v[i] != 0;
          T quick;
          if (!is_finite) out[i] = limit_of_quotient<T, 2>(-1, {gg[i], u[i]}, v[i]);
          else if (!divide_by_square(quick, gg[i], u[i], v[i])) out[i] = scaled_quotient<T, 2>(-1, {gg[i], u[i]}, v[i]);
        }
      };
      return detail::checked_map<T>(divide, repair, g, a, b);
    });
  }
  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0, need[1] || need[2]) | save_input(1, need[0] || need[2]) | save_input(2);
  }
  static Grads<3> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) {
    const Tensor& b = saved[2];
    Grads<3> grads;
    if (need[0]) grads[0] = apply(DivisorGrad{}, h, saved[1], b);
    if (need[1]) grads[1] = apply(DivisorGrad{}, saved[0], h, b);
    if (need[2]) grads[2] = apply(DivisorGradGrad{}, h, saved[0], saved[1], b);
    return grads;
  }
};

struct Div {
  static constexpr std::string_view name = "div";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map(
        name, [](auto u, auto v) { return u / v; }, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(1) | save_input(0, need[1]); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? div(g, saved[1]) : Tensor(), need[1] ? apply(DivisorGrad{}, g, saved[0], saved[1]) : Tensor()};
  }
};

struct Neg {
  static constexpr std::string_view name = "neg";
  static Tensor forward(const Tensor& x) {
    return kernel::map_numeric(
        name, [](auto v) { return -wrapping(v); }, x);
  }
  static Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) { return {neg(g)}; }
};

struct AddNumber {
  static constexpr std::string_view name = "add";
  double number;
  Tensor forward(const Tensor& x) const {
    return kernel::map_numeric(
        name, [c = number]<class T>(T v) { return wrapping(v) + wrapping(as_element<T>(c)); }, x);
  }
  static Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) { return {g}; }
};

struct MulNumber {
  static constexpr std::string_view name = "mul";
  double number;
  Tensor forward(const Tensor& x) const {
    return kernel::map_numeric(
        name, [c = number]<class T>(T v) { return wrapping(v) * wrapping(as_element<T>(c)); }, x);
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {mul(g, number)}; }
};

struct DivByNumber {
  static constexpr std::string_view name = "div";
  double number;
  Tensor forward(const Tensor& x) const {
    return kernel::map(
        name, [c = number]<class T>(T v) { return v / static_cast<T>(c); }, x);
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g / number}; }
};

struct NumberDiv {
  static constexpr std::string_view name = "div";
  double number;
  Tensor forward(const Tensor& x) const {
    return kernel::map(
        name, [c = number]<class T>(T v) { return static_cast<T>(c) / v; }, x);
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    const Tensor& b = saved[0];
    return {apply(DivisorGrad{}, g, expand(full({}, number, b.dtype()), b.shape()), b)};
  }
};

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return apply_broadcast(Add{}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply_broadcast(Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply_broadcast(Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return apply_broadcast(Div{}, a, b); }
Tensor neg(const Tensor& x) { return apply(Neg{}, x); }

Tensor add(const Tensor& a, double b) {
  detail::check_defined("add", "a", a);
  check_number("add", a, b);
  return apply(AddNumber{b}, a);
}
Tensor mul(const Tensor& a, double b) {
  detail::check_defined("mul", "a", a);
  check_number("mul", a, b);
  return apply(MulNumber{b}, a);
}
Tensor operator/(const Tensor& a, double b) {
  detail::check_defined("div", "a", a);
  return apply(DivByNumber{b}, a);
}
Tensor operator/(double a, const Tensor& b) {
  detail::check_defined("div", "b", b);
  return apply(NumberDiv{a}, b);
}

}  // namespace dygrad
