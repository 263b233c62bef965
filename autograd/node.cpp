#include <dygrad/autograd/node.h>

#include <memory>

#include <dygrad/autograd/live_graphs.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/thread_counters.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {
constinit DYGRAD_THREAD_LOCAL std::uint64_t next_sequence_nr = 0;
}

Node::Node(const Shape& output_shape, DType output_dtype, bool is_leaf)
    : output_shape_(output_shape), output_dtype_(output_dtype), is_leaf_(is_leaf), sequence_nr_(next_sequence_nr++) {
  detail::count(detail::Counter::live_nodes, 1);
}

Node::~Node() {
  delete extras_.load(std::memory_order_acquire);
  detail::count(detail::Counter::live_nodes, -1);
}

std::int64_t Node::live_count() { return detail::total(detail::Counter::live_nodes); }

// Note [Iterative destruction]
// Destroying a node drops its inputs' nodes, which may die in turn: recursion as deep as the graph is long. So the
// first death on a thread opens a list; deaths caused by it join the list instead of nesting, and a loop empties it.
void Node::destroy() const noexcept {
  static constinit DYGRAD_THREAD_LOCAL bool collecting = false;
  static constinit DYGRAD_THREAD_LOCAL const Node* dead = nullptr;
  if (const Extras* extras = this->extras(); extras && extras->is_tracked) detail::untrack_node(*this);
  if (collecting) {
    next_dead_ = dead;
    dead = this;
    return;
  }
  collecting = true;
  delete this;
  while (dead) {
    const Node* node = std::exchange(dead, dead->next_dead_);
    delete node;
  }
  collecting = false;
}

Node::Extras& Node::make_extras() {
  Extras* made = extras();
  if (made) return *made;
  auto mine = std::make_unique<Extras>();  // threads may race here: the first one's stay
  if (extras_.compare_exchange_strong(made, mine.get(), std::memory_order_acq_rel)) made = mine.release();
  return *made;
}

std::string Node::describe() const {
  std::string text = fmt::format("{} -> {}", name(), output_shape_);
  if (is_leaf() && !static_cast<const LeafNode*>(this)->label.empty()) {
    text = fmt::format("leaf \"{}\" {}", detail::printable(static_cast<const LeafNode*>(this)->label), output_shape_);
  }
  if (extras() && !extras()->origin.empty()) text += "\n  recorded at: " + extras()->origin;
  return text;
}

HookHandle on_grad_ready(const Tensor& leaf, std::function<void(const Tensor&)> hook) {
  Node* node = gradient_node(leaf);
  if (!node) {
    throw GraphError(Message("on_grad_ready", "the tensor stops gradients, so it never gets one.")
                         .fix("call set_stop_gradient(false) on the tensor first"));
  }
  if (!node->is_leaf()) {
    throw GraphError(Message("on_grad_ready", "only leaves have a gradient stored.")
                         .lines("the tensor is the output of {}", node->describe())
                         .fix("use register_hook, which is given the gradient of any tensor"));
  }
  constexpr std::string_view op = "on_grad_ready";
  return detail::with_out_of_memory(
      op, [&] { return static_cast<LeafNode*>(node)->on_grad_ready.add(std::move(hook), op); });
}

}  // namespace dygrad
