// Ops that end in an activation: one node, which keeps its output instead of what comes before. For the .cpp files of
// autograd/ops.
//
//   apply_activated(MyOp{}, activation, x, w)
//
// records MyOp, whose forward takes the activation as its last argument, and whose vjp sees the gradient of what the
// activation was applied to.
#pragma once

#include <concepts>
#include <string_view>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/fused_activation.h>

namespace dygrad::detail {

/// The gradient of the activation's argument from its output y and the output's gradient g; differentiable.
Tensor activation_vjp(const FusedActivation& activation, Tensor g, const Tensor& y);

/// Throws InvalidArgument for a slope that hides the argument's sign, or is not finite in the dtype.
void check_activation(std::string_view op, const FusedActivation& activation, DType dtype);

template <class Op, std::size_t N>
struct Activated {
  static constexpr std::string_view name = Op::name;
  Op op;
  FusedActivation activation;

  Tensor forward(const std::same_as<Tensor> auto&... inputs) { return op.forward(inputs..., activation); }
  static SaveForBackward save_for_backward(NeedsGrad need) { return Op::save_for_backward(need) | save_output(); }
  Grads<N> vjp(Tensor g, const Saved& saved, NeedsGrad need) const {
    return op.vjp(activation_vjp(activation, std::move(g), saved.output()), saved, need);
  }
};

template <class Op, std::same_as<Tensor>... Inputs>
Tensor apply_activated(Op op, const FusedActivation& activation, const Inputs&... inputs) {
  if (!activation) return apply(std::move(op), inputs...);
  return apply(Activated<Op, sizeof...(Inputs)>{std::move(op), activation}, inputs...);
}

}  // namespace dygrad::detail
