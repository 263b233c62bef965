// Running the chain rule over a recorded graph: backward() fills leaves, grad() returns gradients.
#pragma once

#include <concepts>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Runs the chain rule from all roots at once, accumulating into `.grad()` of every leaf that is reached.
/// `grads` is empty (ones everywhere) or has one entry per root; an undefined entry means ones. Roots that stop
/// gradients are skipped. Stored gradients have memory of their own. An exception, be it of a hook or an op, leaves
/// every stored gradient as it was, those of other passes that ran meanwhile included; only what a grad-ready hook
/// itself made of its gradient stays. The graph then counts as freed unless retained. While the pass runs, it keeps the
/// gradients of all leaves. Throws GraphError if the graph was freed or a saved value changed, ShapeError or DtypeError
/// if a gradient does not fit.
DYGRAD_API void backward(std::span<const Tensor> roots, std::span<const Tensor> grads = {},
                         BackwardOptions options = {});

struct GradOptions {
  std::vector<Tensor> grad_outputs{};  ///< one per output, undefined entries mean ones; empty means ones everywhere
  std::optional<bool> retain_graph{};  ///< default: the value of create_graph
  bool create_graph = false;           ///< record the pass, so that the results can be differentiated
  bool allow_unused = false;           ///< an input that no output depends on gives an undefined tensor, not an error
  std::vector<Tensor> no_grad_vars{};  ///< tensors that gradients must not flow through
};

/// Gradients of the sum of `outputs` with respect to each of `inputs`, in their order; stored gradients stay untouched.
/// An output that is named twice counts twice, an input gets its gradient in each place that names it.
/// Inputs may be leaves or intermediates; only ops between outputs and inputs run, and only these are freed. Results
/// stop gradients and have memory of their own; with create_graph, they may share it, be one tensor where gradients are
/// equal, or be one of `grad_outputs`: change a clone() there. Throws InvalidArgument on no or an
/// undefined input or output, or where grad_outputs are not one per output, GraphError on an unreachable input,
/// ShapeError or DtypeError if a grad_output does not fit, all before anything is freed; GraphError if the graph was
/// freed or a saved value changed. What a hook or an op throws leaves as it is.
DYGRAD_API std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                                    const GradOptions& options = {});
inline std::vector<Tensor> grad(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs,
                                const GradOptions& options = {}) {
  return grad(std::span<const Tensor>(outputs.begin(), outputs.size()),
              std::span<const Tensor>(inputs.begin(), inputs.size()), options);
}
/// For inputs in another container, and for what derives from Tensor: `grad({loss}, model.parameters())`.
template <class Inputs>
requires std::derived_from<typename Inputs::value_type, Tensor> std::vector<Tensor> grad(
    std::initializer_list<Tensor> outputs, const Inputs& inputs, const GradOptions& options = {}) {
  const std::vector<Tensor> handles(std::begin(inputs), std::end(inputs));
  return grad(std::span<const Tensor>(outputs.begin(), outputs.size()), handles, options);
}
/// The gradient of one tensor with respect to another.
inline Tensor grad(const Tensor& output, const Tensor& input, const GradOptions& options = {}) {
  return grad({output}, {input}, options).front();
}

}  // namespace dygrad
