#include <dygrad/autograd/backward.h>

#include <unordered_map>

#include <dygrad/autograd/detail/backward_pass.h>
#include <dygrad/autograd/node.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>

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

[[noreturn]] void fail_repeated(std::string_view role, std::size_t first, std::size_t second) {
  throw InvalidArgument(
      Message("grad", fmt::format("{}[{}] and {}[{}] are the same tensor.", role, first, role, second))
          .fix("name each tensor once"));
}

void check_distinct(std::string_view role, std::span<const Tensor> tensors) {
  constexpr std::size_t kFew = 16;  // then comparing all pairs is faster than a table
  std::unordered_map<const TensorImpl*, std::size_t> seen;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined())
      throw InvalidArgument(Message("grad", fmt::format("{}[{}] is undefined.", role, i))
                                .fix("leave it out, or assign a tensor to it first"));
    if (tensors.size() > kFew) {
      const auto [first, is_new] = seen.emplace(tensors[i].impl(), i);
      if (!is_new) fail_repeated(role, first->second, i);
      continue;
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (tensors[i].is_same(tensors[j])) fail_repeated(role, j, i);
    }
  }
}

void check_used(std::span<const Tensor> inputs, std::size_t i, bool is_used) {
  if (is_used) return;
  throw GraphError(
      Message("grad", fmt::format("no output depends on inputs[{}].", i))
          .line("input {}{}", inputs[i].shape(), inputs[i].stop_gradient() ? ", which stops gradients" : "")
          .fix("pass allow_unused = true to get an undefined tensor for it"));
}

void run_backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options) {
  check_count("backward", roots, grads);
  options.retain_graph = options.retain_graph || options.create_graph;
  detail::BackwardPass pass(options);
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
    throw InvalidArgument(Message("grad", "needs at least one output and one input.")
                              .got("{} and {}", outputs.size(), inputs.size())
                              .fix("name what to differentiate, and by what"));
  check_distinct("outputs", outputs);
  check_distinct("inputs", inputs);
  check_count("grad", outputs, options.grad_outputs);

  detail::BackwardPass pass(
      {.retain_graph = options.retain_graph.value_or(options.create_graph) || options.create_graph,
       .create_graph = options.create_graph});
  std::vector<std::size_t> target_of(inputs.size(), SIZE_MAX);
  std::size_t targets = 0;
  for (const Tensor& tensor : options.no_grad_vars) {
    if (Node* node = gradient_node(tensor)) pass.add_cut(*node);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (Node* node = gradient_node(inputs[i])) {
      pass.add_target(*node);
      target_of[i] = targets++;
    }
  }
  if (targets > 0) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (Node* node = gradient_node(outputs[i]))
        pass.add_root(*node, starting_grad("grad", outputs[i], options.grad_outputs, i, options.create_graph));
    }
    pass.discover();
  }
  // Before the pass, which frees the graph, as far as the graph's shape tells; an op may still hand on no gradient.
  for (std::size_t i = 0; i < inputs.size() && !options.allow_unused; ++i) {
    check_used(inputs, i, target_of[i] != SIZE_MAX && pass.reaches_target(target_of[i]));
  }
  if (targets > 0) pass.run();

  std::vector<Tensor> result(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (target_of[i] != SIZE_MAX) result[i] = pass.target_grad(target_of[i]);
    if (!options.allow_unused) check_used(inputs, i, result[i].defined());
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
