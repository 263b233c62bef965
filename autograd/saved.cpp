#include <dygrad/autograd/saved.h>

#include <memory>
#include <string>
#include <thread>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

// Who is busy moves a few handles: sooner done than this thread could sleep.
std::uint8_t SavedState::wait() noexcept {
  std::uint8_t state = kBusy;
  while (state == kBusy) {
    std::this_thread::yield();
    state = state_.exchange(kBusy, std::memory_order_acquire);
  }
  return state;
}

void SavedTensor::fail_changed(std::string_view pass, std::string_view op, std::size_t input,
                               const Node* producer) const {
  const std::string role = input == kOutput ? "output" : fmt::format("inputs[{}]", input);
  const std::string maker = producer ? fmt::format(", {}", producer->describe()) : std::string();
  throw GraphError(Message(pass, "a value that the gradient needs was changed in place after it was used.")
                       .lines("op {}, its {} {}{}", op, role, tensor_.shape(), maker)
                       .expected("version {}", version_)
                       .got("version {}", tensor_.version())
                       .fix("run {} before what changes it, such as an optimizer's step, or change a clone()", pass));
}

SaveForBackward::Later SaveForBackward::later_of(std::size_t i) {
  auto later = std::make_shared<std::vector<bool>>(i + 1);
  later->back() = true;
  return later;
}

SaveForBackward::Later SaveForBackward::merged(const std::vector<bool>* a, const std::vector<bool>* b) {
  auto later = std::make_shared<std::vector<bool>>();
  for (const std::vector<bool>* set : {a, b}) {
    if (!set) continue;
    if (set->size() > later->size()) later->resize(set->size());
    for (std::size_t i = 0; i < set->size(); ++i) (*later)[i] = (*later)[i] || (*set)[i];
  }
  return later;
}

namespace {

Message no_such_input(const OpSignature& op, std::string_view what, std::size_t input) {
  return Message(op.name, "{} names an input that the op does not have.", what)
      .expected("an index below {}, its number of inputs", op.num_inputs)
      .got("{}", input)
      .fix("count the inputs of forward from 0");
}

}  // namespace

void detail::fail_save_input(const OpSignature& op, const SaveForBackward& asked) {
  std::size_t input = op.num_inputs;
  while (!asked.input(input)) ++input;
  throw InvalidArgument(no_such_input(op, "save_for_backward", input));
}

void detail::fail_input_index(const OpSignature& op, std::size_t input) {
  throw InvalidArgument(no_such_input(op, "need[i]", input));
}

void detail::fail_saved_input(const OpSignature& op, std::size_t input) {
  if (input >= op.num_inputs) throw InvalidArgument(no_such_input(op, "vjp's saved[i]", input));
  throw InvalidArgument(
      Message(op.name, "vjp looks at an input that was not saved.")
          .expected("an input that save_for_backward names")
          .got("saved[{}]", input)
          .fix("return save_input({}) from save_for_backward, under the condition that vjp has", input));
}

void detail::fail_saved_output(const OpSignature& op) {
  throw InvalidArgument(Message(op.name, "vjp looks at the output, which was not saved.")
                            .expected("an op whose save_for_backward names its output")
                            .got("saved.output()")
                            .fix("return save_output() from save_for_backward, under the condition that vjp has"));
}

namespace {

/// Leads to a leaf that was frozen after it was used: the leaf's own node counts as none.
class FrozenLeaf final : public Node {
 public:
  explicit FrozenLeaf(const Ref<Node>& leaf) : Node(leaf->output_shape(), leaf->output_dtype()), leaf_(leaf) {
    set_inputs(&leaf_, 1);
  }
  std::string_view name() const override { return "frozen_leaf"; }
  void vjp(Tensor g, const VjpRequest& request) override {
    if (request.need[0]) request.grads[0] = std::move(g);
  }
  void release() override {}

 private:
  Ref<Node> leaf_;
};

}  // namespace

// Note [Edges of saved inputs]
// A saved input is a handle of the user's tensor, which may be cut from its graph, frozen or made a leaf later. The
// edges of a node are those of the time of recording, and so must be those of the gradient as a function of the inputs:
// where they differ, the vjp gets another handle of the same values.
Tensor detail::attach_input(const Tensor& saved, const Ref<Node>& producer) {
  Tensor input = view::alias(saved);
  if (producer && producer->stopped) input.impl()->autograd = make_ref<FrozenLeaf>(producer);
  else input.impl()->autograd = producer;
  return input;
}

// Note [Saved outputs and cycles]
// exp, tanh and others differentiate through their own output. Were the output saved as it is, node -> output -> node
// would be a cycle that no reference count frees. So a node keeps a plain alias, and hands it out with itself attached
// only while a vjp runs that is being recorded; there the attachment is what makes second derivatives flow through the
// output.
Tensor detail::attach_output(const Tensor& saved, Node& producer) {
  Tensor output = view::alias(saved);
  output.impl()->autograd = Ref<AutogradMeta>(&producer);
  return output;
}

void detail::fail_gradient_count(std::string_view op, std::size_t got, std::size_t inputs) {
  throw InvalidArgument(Message(op, "vjp returned the wrong number of gradients.")
                            .expected("{}, one per input", inputs)
                            .got("{}", got)
                            .fix("leave gradients that are zero or not needed undefined, in their place"));
}

void detail::fail_no_output(std::string_view op) {
  throw InvalidArgument(Message(op, "forward returned an undefined tensor.")
                            .expected("the op's output")
                            .got("no tensor")
                            .fix("return a tensor on every path of forward"));
}

void detail::fail_undefined_operand(std::string_view op, std::string_view operand) {
  throw InvalidArgument(Message(op, "{} was used before it was given a value.", operand)
                            .fix("assign a tensor to it first, or test defined()"));
}

void detail::check_inputs_defined(std::string_view op, std::span<const Tensor> inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) fail_undefined_operand(op, fmt::format("inputs[{}]", i));
  }
}

void detail::fail_released(std::string_view pass, const Node& node) {
  throw GraphError(Message(pass, "the graph was already freed by an earlier backward() or grad().")
                       .lines("at node {}", node.describe())
                       .fix("pass retain_graph = true to the earlier call; detach() state that is carried from one "
                            "training step to the next"));
}

}  // namespace dygrad
