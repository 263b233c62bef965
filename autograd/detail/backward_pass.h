// BackwardPass: one run of the chain rule, with all its state; nothing of it lives in the graph. For autograd's .cpp
// files.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <dygrad/autograd/detail/node_index.h>
#include <dygrad/autograd/node.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// How a pass goes, in four steps:
///   1. discover: walk from the roots; number the nodes, and count for each how many gradients it will receive.
///   2. run: take the newest node that has received all of them, call its vjp, propagate the results.
///      A leaf with grad-ready hooks is stored, and its hooks run, as soon as its last gradient arrives, so that they
///      can overlap with the rest of the pass; a node drops its saved values right after its vjp, unless the graph is
///      retained.
///   3. store: the other leaves get their gradients, once nothing can fail any more. With targets nothing is stored,
///      and theirs are the results.
///   4. on an exception, put back what was stored early.
class BackwardPass {
 public:
  /// `name` is the public function that runs, for messages.
  BackwardPass(std::string_view name, BackwardOptions options);
  ~BackwardPass();
  BackwardPass(const BackwardPass&) = delete;
  BackwardPass& operator=(const BackwardPass&) = delete;

  /// A gradient that starts the pass. Several for one node are summed.
  void add_root(Node& node, Tensor grad);
  /// Gradients must not pass this node.
  void stop_node(Node& node);
  /// Return this node's gradient instead of storing it. With targets, only paths that lead to one are followed. Returns
  /// the target's index; a repeated node keeps its first.
  std::size_t add_target(Node& node);

  void discover();
  /// After discover(): whether the roots depend on the i-th target.
  bool reaches_target(std::size_t i) const { return states_[targets_[i]].pending > 0; }
  /// Once, after discover().
  void run();

  /// The gradient of the i-th target; undefined if the pass did not reach it.
  const Tensor& target_grad(std::size_t i) const { return target_grads_[i]; }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct State {
    Node* node;                 // kept alive by the roots
    Tensor grad{};              // sum of what arrived so far
    std::uint32_t pending = 0;  // gradients still to arrive
    std::uint32_t target = kNone;
    std::uint32_t first_edge = 0;
    bool stops = false;              // gradients go no further
    bool needed = false;             // lies on a path to a target, or there are no targets and every leaf is one
    bool has_needed_inputs = false;  // something needed lies below
    bool expanded = false;           // discovery has walked its inputs
  };

  /// A node whose inputs discovery is walking.
  struct Frame {
    std::uint32_t index;
    std::uint32_t inputs;
    std::uint32_t next_input;
  };

  /// A node that has all its gradients. The sequence number is copied here: a heap of indices alone would spend most of
  /// its time on cache misses in wide graphs.
  struct Ready {
    std::uint64_t sequence_nr;
    std::uint32_t index;
    bool operator<(const Ready& other) const {
      return sequence_nr != other.sequence_nr ? sequence_nr < other.sequence_nr : index > other.index;
    }
  };

  /// A gradient stored before the pass is over, and what was there before.
  struct Undo {
    Node* node;
    Tensor stored, before;
  };

  /// What grows with the graph. A thread keeps one for its next pass, since for small graphs the allocations would cost
  /// more than the pass.
  struct Workspace {
    NodeIndex index;  // node -> position in states
    std::vector<State> states;
    std::vector<std::uint32_t> edges;  // positions of each expanded node's inputs, kNone for those without a node
    std::vector<Frame> stack;
    std::vector<Ready> ready;  // heap: newest first
    std::vector<std::uint32_t> roots;
    std::vector<std::uint32_t> leaves;  // whose gradients are complete, and stored when the pass is
    std::vector<Undo> undo;
    std::vector<Ref<Node>> held;  // nodes whose tensors a hook may drop
    void clear();
  };
  static std::unique_ptr<Workspace>& spare_workspace();

  std::uint32_t pin_node(Node& node);
  std::uint32_t state_of(Node& node);
  std::uint32_t expand(std::uint32_t index);
  void process(std::uint32_t index);
  Tensor apply_hooks_and_store(State& state);
  void propagate(const State& state, Tensor grad);
  void accumulate_grad(std::uint32_t index, Tensor grad);
  void add(State& state, Tensor grad) const;
  void on_grad_arrived(std::uint32_t index);
  LeafNode& leaf_of(std::uint32_t index) { return static_cast<LeafNode&>(*states_[index].node); }
  void store_in_leaves();
  void store_recorded_in_leaves();
  void store_early(LeafNode& leaf, Tensor grad);
  void store_early(Node& node, Tensor grad);
  static bool can_add_in_place(const LeafNode& leaf);
  static bool holds(const LeafNode& leaf, const Tensor& grad);
  void roll_back() noexcept;
  /// `source` is null for a hook of `to`.
  void check_contribution(const Node* source, const Node& to, const Tensor& grad) const;
  Tensor accumulate(Tensor sum, Tensor grad) const;
  static void add_into(const Tensor& sum, const Tensor& a, const Tensor& b);
  Tensor ensure_unique(Tensor grad) const;
  void call_hook(State& state, Tensor& grad, const TensorHook& hook) const;
  void push_ready(std::uint32_t index);
  std::uint32_t pop_ready();

  std::string_view name_;
  BackwardOptions options_;
  bool checks_finite_;
  std::vector<std::uint32_t> targets_;
  std::vector<Tensor> target_grads_;
  std::unique_ptr<Workspace> workspace_;
  std::vector<State>& states_;
  std::vector<std::uint32_t>& edges_;
  std::vector<Ready>& ready_;
};

}  // namespace dygrad::detail
