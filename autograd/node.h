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

/// What errors say about an op.
struct OpSignature {
  std::string_view name;
  std::size_t num_inputs;
};

namespace detail {
[[noreturn]] DYGRAD_API void fail_input_index(const OpSignature& op, std::size_t input);
}

/// Which inputs' gradients are needed: need[i]. Throws InvalidArgument if the op has no such input.
class NeedsGrad {
 public:
  NeedsGrad(const bool* flags, const OpSignature& op) : flags_(flags), op_(&op) {}
  bool operator[](std::size_t input) const {
    if (input >= op_->num_inputs) [[unlikely]]
      detail::fail_input_index(*op_, input);
    return flags_[input];
  }

 private:
  const bool* flags_;
  const OpSignature* op_;
};

/// What a pass asks of a node.
struct VjpRequest {
  const bool* need;         ///< which inputs' gradients are needed
  std::span<Tensor> grads;  ///< where they go, one per input; an undefined one means zero
  bool release;             ///< whether the saved values go as soon as they were used
  std::string_view pass;    ///< "backward" or "grad", for messages
};

using TensorHook = std::function<Tensor(const Tensor& grad)>;

/// A recorded op with its single output. Immutable after recording, but for its extras and the release of saved values,
/// so several passes, also of several threads, may walk one graph: a retained one gives each its gradients; if several
/// passes free it, one takes each node's saved values and the others throw GraphError.
class DYGRAD_API Node : public AutogradMeta {
 public:
  virtual std::string_view name() const = 0;

  /// Gradients of the needed inputs for the output's gradient `g`. Throws GraphError if the saved values were released
  /// before, or changed in place since they were saved.
  ///
  /// Note [Donated gradients]
  /// vjp takes g by value. Where its buffer is uniquely owned (kernel::is_donatable) and no graph is being recorded,
  /// vjp may write its result in place, which lowers the peak memory of a pass.
  virtual void vjp(Tensor g, const VjpRequest& request) = 0;

  /// Drops the saved values.
  virtual void release() = 0;

  /// Producers of the inputs; null where an input stops gradients.
  std::span<const Ref<Node>> inputs() const { return {inputs_, num_inputs_}; }
  const Shape& output_shape() const { return output_shape_; }
  DType output_dtype() const { return output_dtype_; }
  /// Creation order on its thread: a hint for scheduling and a number to print.
  std::uint64_t sequence_nr() const { return sequence_nr_; }
  bool is_leaf() const { return is_leaf_; }

  /// What few nodes have: hooks, a retained gradient, the place of recording in anomaly mode. Thread-safe.
  struct Extras {
    HookList<TensorHook> hooks;
    std::atomic<bool> retain_grad{false};
    Mutex lock;  ///< guards `retained_grad`
    Tensor retained_grad;
    std::string origin;       ///< written while only the recording thread knows the node
    bool is_tracked = false;  ///< by live_graphs(); as `origin`
  };
  Extras* extras() const { return extras_.load(std::memory_order_acquire); }
  Extras& make_extras();

  /// Bytes of the saved values, each storage counted whole.
  virtual std::int64_t saved_bytes() const { return 0; }

  /// "conv2d_transpose -> [8, 64, 16, 16]", with the place of recording if known: for messages and dumps.
  std::string describe() const;

  /// Number of nodes alive in this process, leaves included: zero when every graph is gone.
  static std::int64_t live_count();

  void destroy() const noexcept override;  // see Note [Iterative destruction] in node.cpp

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
  void vjp(Tensor, const VjpRequest&) override {}
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
/// this gradient can overlap with the rest of it. Ops in the hook are recorded only with create_graph. Throws
/// GraphError for other tensors, InvalidArgument if the hook is an empty function.
DYGRAD_API HookHandle on_grad_ready(const Tensor& leaf, std::function<void(const Tensor& grad)> hook);

}  // namespace dygrad
