// BackwardPass: one run of the chain rule, with all its state; nothing of it lives in the graph. For autograd's .cpp
// files.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <dygrad/autograd/node.h>
#include <dygrad/autograd/node_index.h>
#include <dygrad/core/tensor.h>

namespace dygrad::detail {

/// How a pass goes, in four steps:
///   1. discover: walk from the roots; number the nodes, and count for each how many gradients it will receive.
///   2. run: take the newest node that has received all of them, call its vjp, hand the results on.
///   3. a leaf is served the moment its last gradient arrives, so that its hooks can overlap with the rest of the pass.
///   4. a node drops its saved values right after its vjp, unless the graph is retained.
class BackwardPass {
 public:
  explicit BackwardPass(BackwardOptions options) : options_(options) {}

  /// A gradient that starts the pass. Several for one node are summed.
  void add_root(Node& node, const Tensor& grad);
  /// Gradients must not pass this node.
  void add_cut(Node& node);
  /// Return this node's gradient instead of storing it. With targets, only paths that lead to one are followed.
  void add_target(Node& node);

  void run();

  /// The gradient of the i-th target; undefined if the pass did not reach it.
  const Tensor& target_grad(std::size_t i) const { return target_grads_[i]; }

 private:
  static constexpr std::uint32_t kNoTarget = UINT32_MAX;

  struct State {
    Ref<Node> node;
    Tensor grad{};              // sum of what arrived so far
    std::uint32_t pending = 0;  // gradients still to arrive
    std::uint32_t target = kNoTarget;
    bool cut = false;
    bool wanted = false;    // lies on a path to a target, or there are no targets and every leaf is one
    bool expanded = false;  // discovery has walked its inputs
  };

  std::uint32_t state_of(Node& node);
  void discover();
  void count_arrivals();
  void process(std::uint32_t index);
  Tensor finish(State& state);
  void hand_on(std::uint32_t index, const Tensor& grad);
  void deliver(std::uint32_t index, Tensor grad);
  void arrived(std::uint32_t index);
  void store_in_leaf(LeafNode& leaf, Tensor grad);
  void check_contribution(const Node& from, const Node& to, const Tensor& grad) const;
  Tensor accumulate(Tensor sum, Tensor grad) const;
  bool runs_vjp(const State& state) const { return state.wanted && !state.cut && !state.node->is_leaf(); }
  void push_ready(std::uint32_t index);
  std::uint32_t pop_ready();

  BackwardOptions options_;
  NodeIndex index_;  // node -> position in states_
  std::vector<State> states_;
  std::vector<std::uint32_t> ready_;  // heap: newest first
  std::vector<Tensor> target_grads_;
  std::vector<std::uint32_t> roots_;
};

}  // namespace dygrad::detail
