// Unary: elementwise functions of one tensor, described by scalar functions. For the .cpp files of autograd/ops.
//
// Note [Unary ops]
// With v standing for what is saved, x (SavesInput) or y (SavesOutput), a function y = f(x) is described by
//   forward(x)      y;
//   vjp(g, v)       g * dy/dx, linear in g: the first backward is one pass over memory, as is the forward;
//   vjp_grad(p, v)  p * d(dy/dx)/dv, in differentiable ops, which gives all higher orders. Left out where it is zero.
//
//   struct Tanh : SavesOutput {
//     static constexpr std::string_view name = "tanh";
//     static auto forward(auto x) { return vec::tanh(x); }
//     static auto vjp(auto g, auto y) { return g * (1 - y * y); }
//     static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * y * -2; }
//   };
//   Tensor tanh(const Tensor& x) { return apply_unary(Tanh{}, x); }
//
// Numbers such as a slope are double members, brought to the element type by constant_like(x, number), which the
// compiler moves out of the loop. Conditions are written so that NaN takes the branch that returns it.
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
constexpr T constant_like(T, double number) {
  return static_cast<T>(number);
}

struct SavesInput {
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  static const Tensor& saved(const Saved& all) { return all[0]; }
};

struct SavesOutput {
  static SaveForBackward save_for_backward(NeedsGrad) { return save_output(); }
  static const Tensor& saved(const Saved& all) { return all.output(); }
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

/// The element function of a vjp, for UnaryGrad and apply_vjp(): compiled once.
template <class F>
struct VjpFunction {
  F f;
  auto operator()(auto g, auto v) const { return f.vjp(g, v); }
};

/// f.vjp(g, v) as an op of both.
template <class F>
struct UnaryGrad {
  static constexpr std::string_view name = GradName<F::name>::value;
  static constexpr bool has_vjp_grad = requires(const F f, const Tensor& t) { f.vjp_grad(t, t); };
  F f;

  Tensor forward(const Tensor& g, const Tensor& v) const { return kernel::map(name, VjpFunction<F>{f}, g, v); }
  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0, has_vjp_grad && need[1]) | save_input(1);
  }
  Grads<2> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    Grads<2> grads;
    const Tensor& v = saved[1];
    if (need[0]) grads[0] = apply(UnaryGrad{f}, h, v);
    if (need[1]) {
      if constexpr (has_vjp_grad) grads[1] = f.vjp_grad(h * saved[0], v);
      else grads[1] = zeros_like(v);
    }
    return grads;
  }
};

/// f.vjp(g, v); in place where g is donated, see Note [Donated gradients].
template <class F>
Tensor apply_vjp(const F& f, Tensor g, const Tensor& v) {
  if (is_grad_enabled() || !kernel::is_donatable(g)) return apply(UnaryGrad<F>{f}, g, v);
  dispatch_float(g.dtype(), UnaryGrad<F>::name,
                 [&]<class T>() { kernel::map_into<T, T, T>(VjpFunction<F>{f}, g, g, v); });
  return g;
}

template <class F>
struct Unary {
  static constexpr std::string_view name = F::name;
  F f;

  Tensor forward(const Tensor& x) const {
    return kernel::map(
        name, [f = f](auto v) { return f.forward(v); }, x);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return F::save_for_backward(need); }
  Grads<1> vjp(Tensor g, const Saved& saved, NeedsGrad) const { return {apply_vjp(f, std::move(g), F::saved(saved))}; }
};

template <class F>
Tensor apply_unary(F f, const Tensor& x) {
  check_defined(F::name, "x", x);
  return apply(Unary<F>{f}, x);
}

}  // namespace dygrad::detail
