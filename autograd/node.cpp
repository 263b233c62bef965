#include <dygrad/autograd/node.h>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {
std::atomic<std::int64_t> live_nodes{0};
constinit thread_local std::uint64_t next_serial = 0;
}  // namespace

Node::Node(const Shape& output_shape, DType output_dtype)
    : output_shape_(output_shape), output_dtype_(output_dtype), serial_(next_serial++) {
  live_nodes.fetch_add(1, std::memory_order_relaxed);
}

Node::~Node() { live_nodes.fetch_sub(1, std::memory_order_relaxed); }

std::int64_t Node::live_count() { return live_nodes.load(std::memory_order_relaxed); }

// Note [Chains end in a loop]
// Destroying a node drops its inputs' nodes, which may die in turn: recursion as deep as the graph is long. So the
// first death on a thread opens a list; deaths caused by it join the list instead of nesting, and a loop empties it.
void Node::destroy() const noexcept {
  static constinit thread_local bool collecting = false;
  static constinit thread_local const Node* dead = nullptr;
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
  if (!extras_) extras_ = make_ref<Extras>();
  return *extras_;
}

std::string Node::describe() const {
  std::string text = fmt::format("{} -> {}", name(), output_shape_);
  if (is_leaf() && !static_cast<const LeafNode*>(this)->label.empty()) {
    text = fmt::format("leaf \"{}\" {}", static_cast<const LeafNode*>(this)->label, output_shape_);
  }
  if (extras_ && !extras_->origin.empty()) text += "\n  recorded at: " + extras_->origin;
  return text;
}

HookHandle on_grad_ready(const Tensor& leaf, std::function<void(const Tensor&)> hook) {
  Node* node = gradient_node(leaf);
  if (!node || !node->is_leaf()) {
    throw GraphError(Message("on_grad_ready", "needs a leaf that wants its gradient.")
                         .fix("call set_stop_gradient(false) on the tensor first"));
  }
  return static_cast<LeafNode*>(node)->on_grad_ready.add(std::move(hook));
}

}  // namespace dygrad
