// The recorded graph: one Node per recorded op, one LeafNode per tensor whose gradient is wanted.
// A result owns the node that made it; a node owns the nodes of its inputs. Nothing points the other way.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <dygrad/autograd/hooks.h>
#include <dygrad/core/base/mutex.h>
#include <dygrad/core/base/ref.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Which inputs' gradients are wanted: need[i].
class NeedsGrad {
 public:
  explicit NeedsGrad(const bool* flags) : flags_(flags) {}
  bool operator[](std::size_t input) const { return flags_[input]; }

 private:
  const bool* flags_;
};

using TensorHook = std::function<Tensor(const Tensor& grad)>;

/// A recorded op with its single output. Immutable after recording, but for its extras and the release of saved values,
/// so several passes, also of several threads, may walk one graph: a retained one gives each its gradients; of passes
/// that free it one gets the saved values of a node, and the others GraphError.
class DYGRAD_API Node : public AutogradMeta {
 public:
  virtual std::string_view name() const = 0;

  /// Gradients of the needed inputs for the output's gradient `g`; an undefined one means zero. With `release`, the
  /// saved values go as soon as they were used. Throws GraphError if they were released before, or changed in place
  /// since they were saved.
  ///
  /// Note [A gradient that nobody else holds]
  /// A pass gives its handle away. An op whose vjp takes g by value gets it, and where no other handle or view sees the
  /// memory (kernel::is_donatable) and the pass does not record, it may write its result there: one image less at the
  /// height of the pass.
  virtual void vjp(Tensor g, NeedsGrad need, std::span<Tensor> grads, bool release) = 0;

  /// Drops the saved values.
  virtual void release() = 0;

  /// Producers of the inputs; null where an input stops gradients.
  std::span<const Ref<Node>> inputs() const { return {inputs_, num_inputs_}; }
  const Shape& output_shape() const { return output_shape_; }
  DType output_dtype() const { return output_dtype_; }
  /// Creation order on its thread: a hint for scheduling and a number to print.
  std::uint64_t sequence_nr() const { return sequence_nr_; }
  bool is_leaf() const { return is_leaf_; }

  /// What few nodes have: hooks, a kept gradient, the place of recording in anomaly mode. Thread-safe.
  struct Extras {
    HookList<TensorHook> hooks;
    std::atomic<bool> retain_grad{false};
    Mutex lock;  ///< guards `retained_grad`
    Tensor retained_grad;
    std::string origin;      ///< written while only the recording thread knows the node
    bool is_listed = false;  ///< by live_graphs(); as `origin`
  };
  Extras* extras() const { return extras_.load(std::memory_order_acquire); }
  Extras& make_extras();

  /// Bytes of the saved values, each storage counted whole.
  virtual std::int64_t saved_bytes() const { return 0; }

  /// "conv2d_transpose -> [8, 64, 16, 16]", with the place of recording if known: for messages and dumps.
  std::string describe() const;

  /// Number of nodes alive in this process, leaves included: zero when every graph is gone.
  static std::int64_t live_count();

  void destroy() const noexcept override;  // see Note [Chains end in a loop] in node.cpp

 protected:
  Node(const Shape& output_shape, DType output_dtype, bool is_leaf = false);
  ~Node() override;
  void set_inputs(const Ref<Node>* inputs, std::size_t count) {
    inputs_ = inputs;
    num_inputs_ = count;
  }

 private:
  const Ref<Node>* inputs_ = nullptr;  // in the derived object
  std::size_t num_inputs_ = 0;
  Shape output_shape_;
  DType output_dtype_;
  bool is_leaf_;
  std::uint64_t sequence_nr_;
  mutable const Node* next_dead_ = nullptr;
  std::atomic<Extras*> extras_{nullptr};  // owned
};

/// The end of the graph: keeps the gradient of one tensor.
class DYGRAD_API LeafNode final : public Node {
 public:
  explicit LeafNode(const Shape& shape, DType dtype) : Node(shape, dtype, /*is_leaf=*/true) {}

  std::string_view name() const override { return "leaf"; }
  void vjp(Tensor, NeedsGrad, std::span<Tensor>, bool) override {}
  void release() override {}

  mutable Mutex lock;  ///< guards `grad`
  Tensor grad;
  /// Fired once per pass, with the stored gradient, as soon as this pass's last contribution arrived.
  HookList<std::function<void(const Tensor& grad)>> on_grad_ready;
  std::string label;  ///< a parameter's name
};

/// The node whose gradient an op must produce for this tensor, or null.
inline Node* gradient_node(const Tensor& x) {
  const TensorImpl* impl = x.impl();
  if (!impl || !impl->autograd || impl->autograd->stopped) return nullptr;
  return static_cast<Node*>(impl->autograd.get());
}

/// Calls `hook(grad)` whenever a backward pass has stored this leaf's gradient: before the pass ends, so that work on
/// this gradient can overlap with the rest of it. Throws GraphError for other tensors, InvalidArgument if the hook is
/// an empty function.
DYGRAD_API HookHandle on_grad_ready(const Tensor& leaf, std::function<void(const Tensor& grad)> hook);

}  // namespace dygrad
