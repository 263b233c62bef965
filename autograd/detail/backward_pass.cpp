#include <dygrad/autograd/detail/backward_pass.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <mutex>
#include <span>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/donation.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::detail {

namespace {

void check_finite(std::string_view pass, std::string_view role, const Node& node, const Tensor& grad) {
  const bool finite = dispatch_float(grad.dtype(), "backward", [&]<class T>() {
    const Tensor dense = kernel::contiguous(grad);
    return std::ranges::all_of(dense.read<T>(), [](T v) { return std::isfinite(v); });
  });
  if (finite) return;
  throw GraphError(Message(pass, "a gradient became NaN or infinite.")
                       .lines("first in the gradient {} {}", role, node.describe())
                       .fix("look at the values that reach this op at the place above"));
}

}  // namespace

void BackwardPass::Workspace::clear() {
  index.clear();
  states.clear();
  edges.clear();
  stack.clear();
  ready.clear();
  roots.clear();
  leaves.clear();
  undo.clear();
  held.clear();
}

std::unique_ptr<BackwardPass::Workspace>& BackwardPass::spare_workspace() {
  return per_thread([] {
    on_release_cached_memory([] { spare_workspace().reset(); });
    return std::unique_ptr<Workspace>();
  });
}

BackwardPass::BackwardPass(std::string_view name, BackwardOptions options)
    : name_(name),
      options_(options),
      checks_finite_(AnomalyMode::is_enabled()),
      workspace_(spare_workspace() ? std::move(spare_workspace()) : std::make_unique<Workspace>()),
      states_(workspace_->states),
      edges_(workspace_->edges),
      ready_(workspace_->ready) {}

BackwardPass::~BackwardPass() {
  constexpr std::size_t kMaxKept = 10000;  // nodes, about half a megabyte
  workspace_->clear();
  if (states_.capacity() <= kMaxKept) spare_workspace() = std::move(workspace_);
}

/// For nodes that are named from outside, rather than found by walking.
std::uint32_t BackwardPass::pin_node(Node& node) {
  workspace_->held.emplace_back(&node);
  return state_of(node);
}

std::uint32_t BackwardPass::state_of(Node& node) {
  const auto [index, is_new] = workspace_->index.insert(&node);
  if (is_new) states_.push_back({.node = &node});
  return index;
}

void BackwardPass::add_root(Node& node, Tensor grad) {
  const std::uint32_t index = pin_node(node);
  const SetGradEnabled mode(options_.create_graph);
  if (checks_finite_) check_finite(name_, "that starts the pass at", node, grad);
  add(states_[index], std::move(grad));
  workspace_->roots.push_back(index);
}

void BackwardPass::stop_node(Node& node) { states_[pin_node(node)].stops = true; }

std::size_t BackwardPass::add_target(Node& node) {
  const std::uint32_t index = pin_node(node);
  if (states_[index].target != kNone) return states_[index].target;
  states_[index].target = static_cast<std::uint32_t>(target_grads_.size());
  targets_.push_back(index);
  target_grads_.emplace_back();
  return states_[index].target;
}

void BackwardPass::run() {
  const SetGradEnabled mode(options_.create_graph);
  try {
    for (std::uint32_t root : workspace_->roots) on_grad_arrived(root);
    while (!ready_.empty()) process(pop_ready());
    for (Tensor& grad : target_grads_) {
      if (!options_.create_graph && grad.defined()) grad = ensure_unique(std::move(grad));
    }
    store_in_leaves();
  } catch (...) {
    roll_back();
    if (!options_.retain_graph) {
      for (State& state : states_) {
        if (state.has_needed_inputs) state.node->release();
      }
    }
    throw;
  }
}

/// Makes room for the node's edges. Returns how many there are.
std::uint32_t BackwardPass::expand(std::uint32_t index) {
  State& state = states_[index];
  const std::size_t inputs = state.stops ? 0 : state.node->inputs().size();
  state.expanded = true;
  state.first_edge = static_cast<std::uint32_t>(edges_.size());
  for (std::size_t i = 0; i < inputs; ++i) edges_.push_back(kNone);  // mostly one or two: resize() would be a call
  return static_cast<std::uint32_t>(inputs);
}

// Depth-first, with a stack of our own. A node is left after everything below it, so by then it is known whether a path
// from it leads to a target, and what it will hand on.
void BackwardPass::discover() {
  const bool all_needed = target_grads_.empty();
  std::vector<Frame>& stack = workspace_->stack;
  const auto visit = [&](std::uint32_t index) {
    State& state = states_[index];
    if (state.expanded) return;
    if (state.node->is_leaf()) {
      state.expanded = true;
      state.needed = !state.stops && (all_needed || state.target != kNone);
    } else {
      stack.push_back({index, expand(index), 0});
    }
  };
  for (std::uint32_t root : workspace_->roots) {
    visit(root);
    while (!stack.empty()) {
      Frame& frame = stack.back();
      const std::uint32_t first_edge = states_[frame.index].first_edge;
      if (frame.next_input < frame.inputs) {
        const std::uint32_t i = frame.next_input++;
        Node* const input = states_[frame.index].node->inputs()[i].get();
        if (!input) continue;
        const std::uint32_t below = state_of(*input);
        edges_[first_edge + i] = below;
        visit(below);
        continue;
      }
      State& state = states_[frame.index];
      const std::span below(edges_.data() + first_edge, frame.inputs);
      const auto is_needed = [&](std::uint32_t index) { return index != kNone && states_[index].needed; };
      state.has_needed_inputs = !state.stops && (all_needed || std::ranges::any_of(below, is_needed));
      state.needed = state.has_needed_inputs || (!state.stops && state.target != kNone);
      if (state.has_needed_inputs) {
        for (std::uint32_t index : below) {
          if (is_needed(index)) ++states_[index].pending;
        }
      }
      stack.pop_back();
    }
    ++states_[root].pending;
  }
}

void BackwardPass::on_grad_arrived(std::uint32_t index) {
  if (--states_[index].pending != 0) return;
  if (states_[index].node->is_leaf()) process(index);
  else push_ready(index);
}

void BackwardPass::process(std::uint32_t index) {
  State& state = states_[index];
  if (!state.needed) return;  // a root that no target is below
  Tensor grad = apply_hooks_and_store(state);
  if (state.has_needed_inputs) propagate(state, std::move(grad));
}

/// Everything that happens to a node's complete gradient before its vjp: hooks, keeping, storing.
Tensor BackwardPass::apply_hooks_and_store(State& state) {
  Tensor grad = std::move(state.grad);
  if (!grad.defined()) return grad;  // only zero gradients arrived
  Node::Extras* extras = state.node->extras();
  if (extras) {
    extras->hooks.for_each([&](const TensorHook& hook) { call_hook(state, grad, hook); });
    if (extras->retain_grad && target_grads_.empty()) store_early(*state.node, grad);
  }
  if (state.target != kNone) {
    target_grads_[state.target] = grad;
  } else if (state.node->is_leaf() && target_grads_.empty() && !state.stops) {
    auto& leaf = static_cast<LeafNode&>(*state.node);
    if (!leaf.on_grad_ready.empty()) {
      store_early(leaf, std::move(grad));
    } else {
      workspace_->leaves.push_back(static_cast<std::uint32_t>(&state - states_.data()));
      state.grad = std::move(grad);
    }
    return Tensor();
  }
  return grad;
}

void BackwardPass::call_hook(State& state, Tensor& grad, const TensorHook& hook) const {
  Tensor replacement = call_user([&] { return hook(grad); });
  if (!replacement.defined()) return;
  check_contribution(nullptr, *state.node, replacement);
  if (checks_finite_) check_finite(name_, "that a hook returned for", *state.node, replacement);
  if (!options_.create_graph && replacement.impl()->autograd) replacement = view::alias(replacement);
  grad = std::move(replacement);
}

void BackwardPass::propagate(const State& state, Tensor grad) {
  Node* const node = state.node;
  const std::span inputs(edges_.data() + state.first_edge, node->inputs().size());
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
  for (std::size_t i = 0; i < inputs.size(); ++i) need[i] = inputs[i] != kNone && states_[inputs[i]].needed;

  if (grad.defined()) {
    node->vjp(std::move(grad), {need, grads, !options_.retain_graph, name_});
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!need[i] || !grads[i].defined()) continue;
      check_contribution(node, *states_[inputs[i]].node, grads[i]);
      if (checks_finite_) check_finite(name_, "that was given to an input by", *node, grads[i]);
    }
  } else if (!options_.retain_graph) {
    node->release();
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (need[i]) accumulate_grad(inputs[i], std::move(grads[i]));
  }
}

void BackwardPass::accumulate_grad(std::uint32_t index, Tensor grad) {
  if (grad.defined()) add(states_[index], std::move(grad));
  on_grad_arrived(index);
}

void BackwardPass::add(State& state, Tensor grad) const {
  const bool is_first = !state.grad.defined();
  state.grad = accumulate(std::move(state.grad), std::move(grad));
  if (checks_finite_ && !is_first) check_finite(name_, "that adds up what arrived at", *state.node, state.grad);
}

void BackwardPass::check_contribution(const Node* source, const Node& to, const Tensor& grad) const {
  const auto origin = [&] {
    return source ? fmt::format("given by {} for its input {}", source->describe(), to.describe())
                  : fmt::format("returned by a hook that was registered on {}", to.describe());
  };
  if (grad.shape() != to.output_shape()) {
    throw ShapeError(Message(name_, "a gradient has the wrong shape.")
                         .lines("{}", origin())
                         .expected("{}", to.output_shape())
                         .got("{}", grad.shape())
                         .fix("vjp and hooks must return gradients of their tensor's own shape"));
  }
  if (grad.dtype() != to.output_dtype()) {
    throw DtypeError(Message(name_, "a gradient has the wrong dtype.")
                         .lines("{}", origin())
                         .expected("{}", to.output_dtype())
                         .got("{}", grad.dtype())
                         .fix("vjp and hooks must return gradients of their tensor's own dtype"));
  }
}

void BackwardPass::add_into(const Tensor& sum, const Tensor& a, const Tensor& b) {
  dispatch_float(sum.dtype(), "backward",
                 [&]<class T>() { kernel::map_into<T, T, T>([](T x, T y) { return x + y; }, sum, a, b); });
}

/// sum + grad; into sum's own memory where nobody else can see it.
Tensor BackwardPass::accumulate(Tensor sum, Tensor grad) const {
  if (!sum.defined()) return grad;
  if (options_.create_graph) return dygrad::add(sum, grad);
  if (!kernel::is_donatable(sum) && kernel::is_donatable(grad)) std::swap(sum, grad);
  Tensor into = kernel::donate_or_empty_like(sum);
  add_into(into, sum, grad);
  return into;
}

/// A gradient that leaves the pass: in memory that nobody else sees, where a value may be written to each place.
Tensor BackwardPass::ensure_unique(Tensor grad) const {
  if (options_.create_graph) return kernel::is_donatable(grad) ? grad : clone(grad);
  if (grad.impl()->autograd) grad = view::alias(grad);  // a saved value that an op handed on
  return kernel::is_donatable(grad) ? grad : kernel::clone(grad);
}

// A heap by creation order, newest first, makes runs repeatable and frees memory in the reverse order of the forward
// pass.
void BackwardPass::push_ready(std::uint32_t index) {
  ready_.push_back({states_[index].node->sequence_nr(), index});
  std::push_heap(ready_.begin(), ready_.end());
}

std::uint32_t BackwardPass::pop_ready() {
  std::pop_heap(ready_.begin(), ready_.end());
  const std::uint32_t index = ready_.back().index;
  ready_.pop_back();
  return index;
}

}  // namespace dygrad::detail
