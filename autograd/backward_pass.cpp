#include <dygrad/autograd/backward_pass.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <mutex>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/elementwise.h>
#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/core/view.h>

namespace dygrad::detail {

namespace {

/// True if nobody else can see this tensor's memory, and every element has its own place.
bool is_ours_to_change(const Tensor& x) {
  return x.impl()->ref_count() == 1 && x.impl()->storage->ref_count() == 1 &&
         (x.is_contiguous() || x.is_contiguous(MemoryFormat::channels_last));
}

void add_into(const Tensor& sum, const Tensor& a, const Tensor& b) {
  dispatch_float(sum.dtype(), "backward",
                 [&]<class T>() { raw::map_into<T, T, T>([](T x, T y) { return x + y; }, sum, a, b); });
}

void check_finite(const Node& node, const Tensor& grad) {
  const bool finite = dispatch_float(grad.dtype(), "backward", [&]<class T>() {
    const Tensor dense = raw::contiguous(grad);
    return std::ranges::all_of(dense.read<T>(), [](T v) { return std::isfinite(v); });
  });
  if (finite) return;
  throw GraphError(Message("backward", "a gradient became NaN or infinite.")
                       .line("first in the gradient that op {} gave to one of its inputs", node.describe())
                       .fix("look at the values that reach this op at the place above"));
}

}  // namespace

std::uint32_t BackwardPass::state_of(Node& node) {
  const auto [index, is_new] = index_.insert(&node);
  if (is_new) states_.push_back({.node = Ref<Node>(&node)});
  return index;
}

void BackwardPass::add_root(Node& node, const Tensor& grad) {
  const std::uint32_t index = state_of(node);
  const SetGradEnabled mode(options_.create_graph);
  State& state = states_[index];
  state.grad = accumulate(std::move(state.grad), options_.create_graph ? grad : grad.detach());
  roots_.push_back(index);
}

void BackwardPass::add_cut(Node& node) { states_[state_of(node)].cut = true; }

void BackwardPass::add_target(Node& node) {
  states_[state_of(node)].target = static_cast<std::uint32_t>(target_grads_.size());
  target_grads_.emplace_back();
}

void BackwardPass::run() {
  discover();
  count_arrivals();
  const SetGradEnabled mode(options_.create_graph);
  try {
    for (std::uint32_t root : roots_) arrived(root);
    while (!ready_.empty()) process(pop_ready());
  } catch (...) {
    if (!options_.retain_graph) {
      for (State& state : states_) {
        if (state.expanded) state.node->release();
      }
    }
    throw;
  }
}

// Depth-first, with a stack of our own. A node is left after everything below it, so by then it is known whether a path
// from it leads to a target.
void BackwardPass::discover() {
  struct Frame {
    std::uint32_t index;
    std::uint32_t next_input;
  };
  const bool all_wanted = target_grads_.empty();
  std::vector<Frame> stack;
  for (std::uint32_t root : roots_) {
    if (!std::exchange(states_[root].expanded, true)) stack.push_back({root, 0});
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const Node& node = *states_[frame.index].node;
      const auto inputs = states_[frame.index].cut ? std::span<const Ref<Node>>() : node.inputs();
      if (frame.next_input < inputs.size()) {
        const Ref<Node>& input = inputs[frame.next_input++];
        if (!input) continue;
        const std::uint32_t below = state_of(*input);
        if (!std::exchange(states_[below].expanded, true)) stack.push_back({below, 0});
        continue;
      }
      State& state = states_[frame.index];
      state.wanted = !state.cut && (all_wanted || state.target != kNoTarget);
      for (const Ref<Node>& input : inputs) {
        if (input && !state.wanted) state.wanted = states_[index_.at(input.get())].wanted;
      }
      stack.pop_back();
    }
  }
}

void BackwardPass::count_arrivals() {
  for (std::uint32_t root : roots_) ++states_[root].pending;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!states_[i].expanded || !runs_vjp(states_[i])) continue;
    for (const Ref<Node>& input : states_[i].node->inputs()) {
      if (!input) continue;
      State& below = states_[index_.at(input.get())];
      if (below.wanted) ++below.pending;
    }
  }
}

void BackwardPass::arrived(std::uint32_t index) {
  if (--states_[index].pending != 0) return;
  if (states_[index].node->is_leaf()) process(index);
  else push_ready(index);
}

void BackwardPass::process(std::uint32_t index) {
  const Tensor grad = finish(states_[index]);
  if (runs_vjp(states_[index])) hand_on(index, grad);
}

/// Everything that happens to a node's complete gradient before its vjp: hooks, keeping, storing.
Tensor BackwardPass::finish(State& state) {
  Tensor grad = std::move(state.grad);
  state.grad = Tensor();
  if (!grad.defined()) return grad;  // only zero gradients arrived
  const Node::Extras* extras = state.node->extras();
  if (extras) {
    extras->hooks.for_each([&](const TensorHook& hook) {
      const Tensor replacement = hook(grad);
      if (!replacement.defined()) return;
      check_contribution(*state.node, *state.node, replacement);
      grad = replacement;
    });
    if (extras->retain_grad) state.node->make_extras().retained_grad = grad;
  }
  if (state.target != kNoTarget) {
    target_grads_[state.target] = grad;
  } else if (state.node->is_leaf() && target_grads_.empty() && !state.cut) {
    store_in_leaf(static_cast<LeafNode&>(*state.node), std::move(grad));
    return Tensor();
  }
  return grad;
}

void BackwardPass::hand_on(std::uint32_t index, const Tensor& grad) {
  Node* const node = states_[index].node.get();
  const auto inputs = node->inputs();
  constexpr std::size_t kInline = 4;
  std::array<bool, kInline> small_need{};
  std::array<Tensor, kInline> small_grads;
  std::unique_ptr<bool[]> large_need;
  std::vector<Tensor> large_grads;
  bool* need = small_need.data();
  std::span<Tensor> grads(small_grads.data(), std::min(inputs.size(), kInline));
  if (inputs.size() > kInline) {
    large_need = std::make_unique<bool[]>(inputs.size());
    large_grads.resize(inputs.size());
    need = large_need.get();
    grads = large_grads;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) need[i] = inputs[i] && states_[index_.at(inputs[i].get())].wanted;

  if (grad.defined()) {
    node->vjp(grad, Need(need), grads);
    if (AnomalyMode::is_enabled()) {
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (need[i] && grads[i].defined()) check_finite(*node, grads[i]);
      }
    }
  }
  if (!options_.retain_graph) node->release();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!need[i]) continue;
    if (grads[i].defined()) check_contribution(*node, *inputs[i], grads[i]);
    deliver(index_.at(inputs[i].get()), std::move(grads[i]));
  }
}

void BackwardPass::deliver(std::uint32_t index, Tensor grad) {
  if (grad.defined()) {
    State& state = states_[index];
    state.grad = accumulate(std::move(state.grad), std::move(grad));
  }
  arrived(index);
}

void BackwardPass::check_contribution(const Node& from, const Node& to, const Tensor& grad) const {
  if (grad.shape() != to.output_shape()) {
    throw ShapeError(Message("backward", "a gradient has the wrong shape.")
                         .line("given by {} for its input {}", from.describe(), to.describe())
                         .expected("{}", to.output_shape())
                         .got("{}", grad.shape())
                         .fix("vjp and hooks must return gradients of their tensor's own shape"));
  }
  if (grad.dtype() != to.output_dtype()) {
    throw DtypeError(Message("backward", "a gradient has the wrong dtype.")
                         .line("given by {} for its input {}", from.describe(), to.describe())
                         .expected("{}", to.output_dtype())
                         .got("{}", grad.dtype())
                         .fix("vjp and hooks must return gradients of their tensor's own dtype"));
  }
}

/// sum + grad; into sum's own memory where nobody else can see it.
Tensor BackwardPass::accumulate(Tensor sum, Tensor grad) const {
  if (!sum.defined()) return grad;
  if (options_.create_graph) return add(sum, grad);
  if (!is_ours_to_change(sum) && is_ours_to_change(grad)) std::swap(sum, grad);
  const Tensor into = is_ours_to_change(sum) ? sum : raw::empty_like(sum, sum.dtype());
  add_into(into, sum, grad);
  return into;
}

void BackwardPass::store_in_leaf(LeafNode& leaf, Tensor grad) {
  Tensor stored;
  {
    const std::scoped_lock lock(leaf.lock);
    if (leaf.grad.defined() && !options_.create_graph && is_ours_to_change(leaf.grad))
      add_into(leaf.grad, leaf.grad, grad);
    else if (leaf.grad.defined()) leaf.grad = accumulate(leaf.grad, std::move(grad));
    else leaf.grad = options_.create_graph || is_ours_to_change(grad) ? std::move(grad) : raw::clone(grad);
    if (!leaf.on_grad_ready.empty()) stored = leaf.grad;
  }
  leaf.on_grad_ready.for_each([&](const auto& hook) { hook(stored); });
}

// A heap by creation order, newest first, makes runs repeatable and frees memory in the reverse order of the forward
// pass.
void BackwardPass::push_ready(std::uint32_t index) {
  ready_.push_back(index);
  std::push_heap(ready_.begin(), ready_.end(), [this](std::uint32_t a, std::uint32_t b) {
    const std::uint64_t x = states_[a].node->serial();
    const std::uint64_t y = states_[b].node->serial();
    return x != y ? x < y : a > b;
  });
}

std::uint32_t BackwardPass::pop_ready() {
  std::pop_heap(ready_.begin(), ready_.end(), [this](std::uint32_t a, std::uint32_t b) {
    const std::uint64_t x = states_[a].node->serial();
    const std::uint64_t y = states_[b].node->serial();
    return x != y ? x < y : a > b;
  });
  const std::uint32_t index = ready_.back();
  ready_.pop_back();
  return index;
}

}  // namespace dygrad::detail
