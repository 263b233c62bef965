#include <dygrad/autograd/saved.h>

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

void SavedTensor::fail_changed(std::string_view op, std::string_view role) const {
  throw GraphError(Message("backward", "a value that the gradient needs was changed in place after it was used.")
                       .line("op {}, its {} {}", op, role, tensor_.shape())
                       .expected("version {}", version_)
                       .got("version {}", tensor_.version())
                       .fix("change a clone() instead, or run backward before changing it"));
}

void detail::fail_save_input(unsigned input) {
  throw InvalidArgument(Message("save_input", "an op cannot keep this input.")
                            .expected("input < {}", SaveForBackward::kMostInputs)
                            .got("{}", input)
                            .fix("order the op's inputs so that those that vjp looks at come first"));
}

namespace {

/// Leads to a leaf that was frozen after it was used: the leaf's own node counts as none.
class FrozenLeaf final : public Node {
 public:
  explicit FrozenLeaf(const Ref<Node>& leaf) : Node(leaf->output_shape(), leaf->output_dtype()), leaf_(leaf) {
    set_inputs(&leaf_, 1);
  }
  std::string_view name() const override { return "frozen_leaf"; }
  void vjp(Tensor g, NeedsGrad need, std::span<Tensor> grads, bool) override {
    if (need[0]) grads[0] = std::move(g);
  }
  void release() override {}

 private:
  Ref<Node> leaf_;
};

}  // namespace

// Note [What was recorded stays]
// A kept input is a handle of the user's tensor, which may be cut from its graph, frozen or made a leaf later. The
// edges of a node are those of the time of recording, and so must be those of the gradient as a function of the inputs:
// where they differ, the vjp gets another handle of the same values.
Tensor detail::attach_input(const Tensor& kept, const Ref<Node>& producer) {
  Tensor input = view::alias(kept);
  if (producer && producer->stopped) input.impl()->autograd = make_ref<FrozenLeaf>(producer);
  else input.impl()->autograd = producer;
  return input;
}

// Note [Saved outputs and cycles]
// exp, tanh and others differentiate through their own output. Were the output kept as it is, node -> output -> node
// would be a cycle that no reference count frees. So a node keeps a plain alias, and hands it out with itself attached
// only while a vjp runs that is being recorded; there the attachment is what makes second derivatives flow through the
// output.
Tensor detail::attach_output(const Tensor& kept, Node& producer) {
  Tensor output = view::alias(kept);
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

void detail::fail_released(const Node& node) {
  throw GraphError(Message("backward", "the graph was already freed by an earlier backward().")
                       .line("at node {}", node.describe())
                       .fix("pass retain_graph = true to the first call"));
}

}  // namespace dygrad
