// Unary: elementwise functions of one tensor, described by scalar functions. For the .cpp files of autograd/ops.
//
// Note [Value, pull, bend]
// With v standing for what is kept, x (OfInput) or y (OfOutput), a function y = f(x) is described by
//   value(x)     y;
//   pull(g, v)   g * dy/dx, linear in g: the first backward is one pass over memory, as is the forward;
//   bend(p, v)   p * d(dy/dx)/dv, in differentiable ops: from here on every order follows. Left out where it is zero.
//
//   struct Tanh : OfOutput {
//     static constexpr std::string_view name = "tanh";
//     static auto value(auto x) { return std::tanh(x); }
//     static auto pull(auto g, auto y) { return g * (1 - y * y); }
//     static Tensor bend(const Tensor& p, const Tensor& y) { return p * y * -2; }
//   };
//   Tensor tanh(const Tensor& x) { return apply_unary(Tanh{}, x); }
//
// Numbers such as a slope are double members, brought to the element type by like(x, number), which the compiler moves
// out of the loop. Conditions are written so that NaN takes the branch that returns it.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/donation.h>
#include <dygrad/core/kernels/elementwise.h>

namespace dygrad::detail {

/// `number` in the type of x.
template <class T>
constexpr T like(T, double number) {
  return static_cast<T>(number);
}

struct OfInput {
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  static const Tensor& kept(const Saved& saved) { return saved[0]; }
};

struct OfOutput {
  static SaveForBackward save_for_backward(NeedsGrad) { return save_output(); }
  static const Tensor& kept(const Saved& saved) { return saved.output(); }
};

/// "tanh" -> "tanh_grad", at compile time.
template <const std::string_view& name>
struct GradName {
  static constexpr std::string_view suffix = "_grad";
  static constexpr auto text = [] {
    std::array<char, name.size() + suffix.size()> result{};
    std::ranges::copy(suffix, std::ranges::copy(name, result.begin()).out);
    return result;
  }();
  static constexpr std::string_view value{text.data(), text.size()};
};

/// The element function of a pull, whoever runs it: compiled once.
template <class F>
struct Pull {
  F f;
  auto operator()(auto g, auto v) const { return f.pull(g, v); }
};

/// pull(g, v) as an op of both.
template <class F>
struct UnaryGrad {
  static constexpr std::string_view name = GradName<F::name>::value;
  static constexpr bool bends = requires(const F f, const Tensor& t) { f.bend(t, t); };
  F f;

  Tensor forward(const Tensor& g, const Tensor& v) const { return kernel::map(name, Pull<F>{f}, g, v); }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0, bends && need[1]) | save_input(1); }
  Grads<2> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    Grads<2> grads;
    const Tensor& v = saved[1];
    if (need[0]) grads[0] = apply(UnaryGrad{f}, h, v);
    if (need[1]) {
      if constexpr (bends) grads[1] = f.bend(h * saved[0], v);
      else grads[1] = zeros_like(v);
    }
    return grads;
  }
};

/// f.pull(g, v); over g itself where Note [A gradient that nobody else holds] allows it.
template <class F>
Tensor pull(const F& f, Tensor g, const Tensor& v) {
  if (is_grad_enabled() || !kernel::is_donatable(g)) return apply(UnaryGrad<F>{f}, g, v);
  dispatch_float(g.dtype(), UnaryGrad<F>::name, [&]<class T>() { kernel::map_into<T, T, T>(Pull<F>{f}, g, g, v); });
  return g;
}

template <class F>
struct Unary {
  static constexpr std::string_view name = F::name;
  F f;

  Tensor forward(const Tensor& x) const {
    return kernel::map(
        name, [f = f](auto v) { return f.value(v); }, x);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return F::save_for_backward(need); }
  Grads<1> vjp(Tensor g, const Saved& saved, NeedsGrad) const { return {pull(f, std::move(g), F::kept(saved))}; }
};

template <class F>
Tensor apply_unary(F f, const Tensor& x) {
  return apply(Unary<F>{f}, x);
}

}  // namespace dygrad::detail
