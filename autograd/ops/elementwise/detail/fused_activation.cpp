#include <dygrad/autograd/ops/elementwise/detail/fused_activation.h>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/detail/number_check.h>
#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad {

namespace {

using detail::apply_unary;
using detail::constant_like;
using detail::SavesInput;
using detail::SavesOutput;
using Kind = FusedActivation::Kind;

struct Relu : SavesOutput, kernel::Relu {
  static constexpr std::string_view name = "relu";
  static auto vjp(auto g, auto y) { return y > 0 ? g : 0; }
};

// The output has the input's sign unless alpha is negative; `Source`, what is saved, is chosen by that.
template <class Source>
struct LeakyRelu : Source, kernel::LeakyRelu {
  static constexpr std::string_view name = "leaky_relu";
  auto vjp(auto g, auto v) const { return v > 0 ? g : g * constant_like(g, alpha); }
};

struct Sigmoid : SavesOutput, kernel::Sigmoid {
  static constexpr std::string_view name = "sigmoid";
  static auto vjp(auto g, auto y) { return g * y * (1 - y); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * (1 - 2 * y); }
};

struct Tanh : SavesOutput, kernel::Tanh {
  static constexpr std::string_view name = "tanh";
  static auto vjp(auto g, auto y) { return g * (1 - y * y); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * y * -2; }
};

}  // namespace

Tensor relu(const Tensor& x) { return apply_unary(Relu{}, x); }
Tensor leaky_relu(const Tensor& x, double alpha) {
  detail::check_finite("leaky_relu", "alpha", alpha, x);
  if (!is_floating(x.dtype())) detail::fail_not_floating("leaky_relu", x.dtype());
  if (detail::rounded_to(x.dtype(), alpha) == 0) return relu(x);  // 0 times -infinity is none of its values
  if (alpha < 0) return apply_unary(LeakyRelu<SavesInput>{{}, {alpha}}, x);
  return apply_unary(LeakyRelu<SavesOutput>{{}, {alpha}}, x);
}
Tensor sigmoid(const Tensor& x) { return apply_unary(Sigmoid{}, x); }
Tensor tanh(const Tensor& x) { return apply_unary(Tanh{}, x); }

FusedActivation fused_activation(std::string_view name) {
  if (name == "relu") return {Kind::relu};
  if (name == "leaky_relu") return {Kind::leaky_relu, 0.02};
  if (name == "sigmoid") return {Kind::sigmoid};
  if (name == "tanh") return {Kind::tanh};
  return {};
}

Tensor detail::activation_vjp(const FusedActivation& activation, Tensor g, const Tensor& y) {
  switch (activation.kind) {
    case Kind::relu: return detail::apply_vjp(Relu{}, std::move(g), y);
    case Kind::leaky_relu: return detail::apply_vjp(LeakyRelu<SavesOutput>{{}, {activation.alpha}}, std::move(g), y);
    case Kind::sigmoid: return detail::apply_vjp(Sigmoid{}, std::move(g), y);
    case Kind::tanh: return detail::apply_vjp(Tanh{}, std::move(g), y);
    case Kind::none: break;
  }
  return g;
}

void detail::check_activation(std::string_view op, const FusedActivation& activation, DType dtype) {
  if (activation.kind != Kind::leaky_relu) return;
  check_finite(op, "activation.alpha", activation.alpha, dtype);
  if (activation.alpha >= 0) return;
  throw InvalidArgument(Message(op, "the activation's slope is negative.")
                            .expected("activation.alpha >= 0")
                            .got("{}", activation.alpha)
                            .fix("apply leaky_relu to the result"));
}

}  // namespace dygrad
