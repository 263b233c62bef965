#include <dygrad/autograd/backward.h>

#include <algorithm>

#include <dygrad/autograd/detail/backward_pass.h>
#include <dygrad/autograd/node.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

/// The gradient a pass starts from: as given, or ones; without a graph of its own unless the pass is recorded.
Tensor starting_grad(std::string_view op, const Tensor& output, std::span<const Tensor> grads, std::size_t i,
                     bool create_graph) {
  if (grads.empty() || !grads[i].defined()) return ones_like(output);
  const Tensor& grad = grads[i];
  if (grad.shape() != output.shape()) {
    throw ShapeError(Message(op, "the starting gradient has the wrong shape.")
                         .expected("{}", output.shape())
                         .got("{}", grad.shape())
                         .fix("give one gradient element per element of the output, or none for ones"));
  }
  if (grad.dtype() != output.dtype()) {
    throw DtypeError(Message(op, "the starting gradient has the wrong dtype.")
                         .expected("{}", output.dtype())
                         .got("{}", grad.dtype())
                         .fix("convert it first: grad.to(dygrad::{})", output.dtype()));
  }
  return create_graph ? grad : grad.detach();
}

void check_count(std::string_view op, std::span<const Tensor> outputs, std::span<const Tensor> grads) {
  if (!grads.empty() && grads.size() != outputs.size()) {
    throw InvalidArgument(Message(op, "needs one starting gradient per output, or none.")
                              .expected("{} or 0", outputs.size())
                              .got("{}", grads.size())
                              .fix("leave a place undefined to start that output from ones"));
  }
}

void check_defined(std::string_view role, std::span<const Tensor> tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined())
      throw InvalidArgument(
          Message("grad", "{}[{}] is undefined.", role, i).fix("leave it out, or assign a tensor to it first"));
  }
}

/// The fix for the likeliest cause.
[[noreturn]] void fail_unused(std::span<const Tensor> outputs, std::span<const Tensor> inputs, std::size_t i) {
  Message message("grad", "no output depends on inputs[{}].", i);
  if (inputs[i].stop_gradient()) {
    throw GraphError(std::move(message)
                         .line("inputs[{}] {} stops gradients", i, inputs[i].shape())
                         .fix("leave it out, or pass allow_unused = true, if it is a statistic or frozen; else call "
                              "set_stop_gradient(false) on it before the outputs are computed"));
  }
  const auto stopping = std::ranges::find_if(outputs, [](const Tensor& y) { return y.stop_gradient(); });
  if (stopping != outputs.end()) {
    throw GraphError(std::move(message)
                         .line("outputs[{}] {} stops gradients", stopping - outputs.begin(), stopping->shape())
                         .fix("pass create_graph = true to the grad() it came from; or compute it outside of NoGrad, "
                              "without detach(), and after set_stop_gradient(false)"));
  }
  throw GraphError(std::move(message)
                       .line("input {}", inputs[i].shape())
                       .fix("pass allow_unused = true to get an undefined tensor for it"));
}

void run_backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options) {
  check_count("backward", roots, grads);
  options.retain_graph = options.retain_graph || options.create_graph;
  detail::BackwardPass pass("backward", options);
  for (std::size_t i = 0; i < roots.size(); ++i) {
    Node* node = gradient_node(roots[i]);
    if (!node) continue;
    pass.add_root(*node, starting_grad("backward", roots[i], grads, i, options.create_graph));
  }
  pass.discover();
  pass.run();
}

std::vector<Tensor> run_grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                             const GradOptions& options) {
  if (outputs.empty() || inputs.empty())
    throw InvalidArgument(Message("grad", "there is nothing to differentiate, or nothing to differentiate by.")
                              .expected("at least one output and one input")
                              .got("{} and {}", outputs.size(), inputs.size())
                              .fix("name what to differentiate, and by what"));
  check_defined("outputs", outputs);
  check_defined("inputs", inputs);
  check_count("grad", outputs, options.grad_outputs);

  detail::BackwardPass pass(
      "grad", {.retain_graph = options.retain_graph.value_or(options.create_graph) || options.create_graph,
               .create_graph = options.create_graph});
  constexpr std::size_t kNone = SIZE_MAX;
  std::vector<std::size_t> target_of(inputs.size(), kNone);
  bool has_targets = false;
  for (const Tensor& tensor : options.no_grad_vars) {
    if (Node* node = gradient_node(tensor)) pass.stop_node(*node);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (Node* node = gradient_node(inputs[i])) {
      target_of[i] = pass.add_target(*node);
      has_targets = true;
    }
  }
  if (has_targets) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (Node* node = gradient_node(outputs[i]))
        pass.add_root(*node, starting_grad("grad", outputs[i], options.grad_outputs, i, options.create_graph));
    }
    pass.discover();
  }
  // Before the pass, which frees the graph, as far as the graph's shape tells; an op may still hand on no gradient.
  for (std::size_t i = 0; i < inputs.size() && !options.allow_unused; ++i) {
    if (target_of[i] == kNone || !pass.reaches_target(target_of[i])) fail_unused(outputs, inputs, i);
  }
  if (has_targets) pass.run();

  std::vector<Tensor> result(inputs.size());
  std::vector<bool> is_given(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (const std::size_t target = target_of[i]; target != kNone) {
      result[i] = pass.target_grad(target);
      // For a repeated input: as all results, in memory of its own.
      if (is_given[target] && result[i].defined() && !options.create_graph) result[i] = kernel::clone(result[i]);
      is_given[target] = true;
    }
    if (!options.allow_unused && !result[i].defined()) fail_unused(outputs, inputs, i);
  }
  return result;
}

}  // namespace

void backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options) {
  detail::with_out_of_memory("backward", [&] { run_backward(roots, grads, options); });
}

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs, const GradOptions& options) {
  return detail::with_out_of_memory("grad", [&] { return run_grad(outputs, inputs, options); });
}

}  // namespace dygrad
