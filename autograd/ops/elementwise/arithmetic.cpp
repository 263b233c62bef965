#include <cmath>
#include <concepts>

#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
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

// -g (y / b), what the divisor b gets of the gradient of y = a / b. y / b first: 1 / b alone may overflow.
struct DivisorGrad {
  static constexpr std::string_view name = "div_grad";
  static Tensor forward(const Tensor& g, const Tensor& y, const Tensor& b) {
    return kernel::map(
        name, [](auto gg, auto v, auto u) { return -gg * (v / u); }, g, y, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0, need[1] || need[2]) | save_input(1) | save_input(2);
  }
  static Grads<3> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) {
    const Tensor &y = saved[1], &b = saved[2];
    Grads<3> grads;
    if (need[0]) grads[0] = apply(DivisorGrad{}, h, y, b);
    if (!need[1] && !need[2]) return grads;
    const Tensor hg = mul(h, saved[0]);
    if (need[1]) grads[1] = neg(div(hg, b));
    if (need[2]) grads[2] = neg(div(apply(DivisorGrad{}, hg, y, b), b));
    return grads;
  }
};

struct Div {
  static constexpr std::string_view name = "div";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map(
        name, [](auto u, auto v) { return u / v; }, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(1) | save_output(need[1]); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? div(g, saved[1]) : Tensor(),
            need[1] ? apply(DivisorGrad{}, g, saved.output(), saved[1]) : Tensor()};
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
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_output(); }
  static Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) {
    return {apply(DivisorGrad{}, g, saved.output(), saved[0])};
  }
};

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return apply_broadcast(Add{}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return apply_broadcast(Sub{}, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply_broadcast(Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return apply_broadcast(Div{}, a, b); }
Tensor neg(const Tensor& x) { return apply(Neg{}, x); }

Tensor add(const Tensor& a, double b) {
  check_number("add", a, b);
  return apply(AddNumber{b}, a);
}
Tensor mul(const Tensor& a, double b) {
  check_number("mul", a, b);
  return apply(MulNumber{b}, a);
}
Tensor operator/(const Tensor& a, double b) { return apply(DivByNumber{b}, a); }
Tensor operator/(double a, const Tensor& b) { return apply(NumberDiv{a}, b); }

}  // namespace dygrad
