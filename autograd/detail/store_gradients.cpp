// The last step of a BackwardPass: gradients go to leaves and to tensors that retain theirs, and back if it fails.
#include <mutex>
#include <utility>
#include <vector>

#include <dygrad/autograd/detail/backward_pass.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/donation.h>

namespace dygrad::detail {

// Note [All or nothing]
// A pass that throws leaves every stored gradient as it was. So the gradients of leaves wait in the pass until all of
// it succeeded, and are stored by steps that cannot fail: what needs memory is done before the first of them. Those
// that somebody may look at earlier, of leaves with grad-ready hooks and of intermediates that retain theirs, are
// replaced at once, never written over, and put back if the pass throws, unless somebody else has replaced them
// meanwhile.

void BackwardPass::store_in_leaves() {
  if (options_.create_graph) return store_recorded_in_leaves();
  for (const std::uint32_t index : workspace_->leaves) {
    Tensor& grad = states_[index].grad;
    if (!can_add_in_place(leaf_of(index))) grad = ensure_unique(std::move(grad));
  }
  for (const std::uint32_t index : workspace_->leaves) {
    LeafNode& leaf = leaf_of(index);
    Tensor& grad = states_[index].grad;
    const std::scoped_lock lock(leaf.lock);
    if (leaf.grad.defined() && kernel::is_donatable(leaf.grad)) {
      add_into(leaf.grad, leaf.grad, grad);
    } else {
      if (leaf.grad.defined()) grad = accumulate(leaf.grad, std::move(grad));
      std::swap(leaf.grad, grad);
    }
  }
}

bool BackwardPass::can_add_in_place(const LeafNode& leaf) {
  const std::scoped_lock lock(leaf.lock);
  return leaf.grad.defined() && kernel::is_donatable(leaf.grad);
}

/// For passes that are recorded, where nothing is written over: sums are made first.
void BackwardPass::store_recorded_in_leaves() {
  std::vector<Undo>& undo = workspace_->undo;
  const std::size_t first = undo.size();
  const auto sum = [](const Tensor& stored, const Tensor& grad) {
    return stored.defined() ? dygrad::add(stored, grad) : grad;
  };
  for (const std::uint32_t index : workspace_->leaves) {
    LeafNode& leaf = leaf_of(index);
    undo.push_back({&leaf, Tensor(), Tensor()});
    {
      const std::scoped_lock lock(leaf.lock);
      undo.back().before = leaf.grad;
    }
    states_[index].grad = ensure_unique(std::move(states_[index].grad));
    undo.back().stored = sum(undo.back().before, states_[index].grad);
  }
  for (std::size_t i = 0; i < workspace_->leaves.size(); ++i) {
    LeafNode& leaf = leaf_of(workspace_->leaves[i]);
    const Undo& change = undo[first + i];
    const std::scoped_lock lock(leaf.lock);
    if (leaf.grad.is_same(change.before)) leaf.grad = change.stored;
    else leaf.grad = sum(leaf.grad, states_[workspace_->leaves[i]].grad);  // another thread's pass was first
  }
}

void BackwardPass::store_early(LeafNode& leaf, Tensor grad) {
  workspace_->undo.push_back({&leaf, Tensor(), Tensor()});
  Tensor stored;
  {
    Undo& undo = workspace_->undo.back();
    const std::scoped_lock lock(leaf.lock);
    undo.before = leaf.grad;
    if (undo.before.defined()) stored = accumulate(undo.before, std::move(grad));
    else stored = ensure_unique(std::move(grad));
    undo.stored = leaf.grad = stored;
  }
  leaf.on_grad_ready.for_each([&](const auto& hook) { call_user([&] { hook(stored); }); });
  if (!holds(leaf, stored)) workspace_->undo.pop_back();  // a hook used it up
}

bool BackwardPass::holds(const LeafNode& leaf, const Tensor& grad) {
  const std::scoped_lock lock(leaf.lock);
  return leaf.grad.is_same(grad);
}

/// The pass goes on with `grad`, so the node gets a copy.
void BackwardPass::store_early(Node& node, Tensor grad) {
  grad = ensure_unique(std::move(grad));
  workspace_->undo.push_back({&node, grad, Tensor()});
  Node::Extras& extras = *node.extras();
  const std::scoped_lock lock(extras.lock);
  workspace_->undo.back().before = std::exchange(extras.retained_grad, grad);
}

void BackwardPass::roll_back() noexcept {
  for (Undo& undo : workspace_->undo) {
    auto* const leaf = undo.node->is_leaf() ? static_cast<LeafNode*>(undo.node) : nullptr;
    const std::scoped_lock lock(leaf ? leaf->lock : undo.node->extras()->lock);
    Tensor& place = leaf ? leaf->grad : undo.node->extras()->retained_grad;
    if (place.is_same(undo.stored)) std::swap(place, undo.before);
  }
}

}  // namespace dygrad::detail
