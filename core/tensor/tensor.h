// Tensor: a value handle on shared, strided storage. Everybody uses it.
// The methods in its last section are ops: declared here so that `loss.backward()` and `x.reshape({6})` read naturally,
// defined in autograd/ops/tensor_methods.cpp, so that they record. Nothing in core calls them; see
// docs/design/tensor-methods.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <dygrad/core/base/device.h>
#include <dygrad/core/base/dtype.h>
#include <dygrad/core/base/export.h>
#include <dygrad/core/base/ref.h>
#include <dygrad/core/base/shape.h>
#include <dygrad/core/memory/storage.h>

namespace dygrad {

/// What autograd hangs on a tensor; completed in autograd/node.h. Null means: stops the gradient.
class AutogradMeta : public RefCounted {
 public:
  bool stopped = false;  ///< a leaf whose stop_gradient was set again; ops then treat it as a constant
};

/// The shared state behind a Tensor. Its layout never changes after construction.
struct DYGRAD_API TensorImpl final : public RefCounted {
  TensorImpl(Ref<Storage> bytes, const Shape& extents, const Strides& steps, std::int64_t first, DType type)
      : storage(std::move(bytes)), shape(extents), strides(steps), offset(first), dtype(type) {}

  Ref<Storage> storage;
  Shape shape;
  Strides strides;      // in elements; the only statement about layout
  std::int64_t offset;  // of the first element, in elements
  DType dtype;
  Ref<AutogradMeta> autograd;

  void destroy() const noexcept override;  // out of line: there is one wherever a tensor goes
};

class HookHandle;

/// What a backward pass keeps.
struct BackwardOptions {
  bool retain_graph = false;  ///< keep saved values, so that the graph can be used again
  bool create_graph =
      false;  ///< record the backward pass too, so that gradients can be differentiated; implies retain_graph
};

/// A multi-dimensional array. Copying shares (8 bytes); a default-made one is undefined.
/// As safe between threads as `std::shared_ptr`: share freely, one writer. Passes of several threads may walk one
/// graph.
///
/// Note [Gradients that keep their own graph]
/// Graphs are counted references, so a cycle keeps itself alive until it is cut. There are four ways to make one:
///   - backward() with create_graph: a gradient that a leaf stores, or an intermediate retains, has a graph that leads
///     back to it. Call clear_gradient() when it was used, or use grad(), which stores nothing;
///   - x.set_grad(f(x)) likewise, where f(x) was recorded: set f(x).detach();
///   - in a pass with create_graph, a hook whose result was computed from its own tensor, where the gradient is stored:
///     likewise;
///   - a hook that captures a handle of its own tensor, or of one computed from it: capture x.detach(), or remove the
///     hook.
/// live_graphs() (autograd/live_graphs.h) lists what is alive.
class DYGRAD_API Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  /// Uninitialised, dense. Throws ShapeError or OutOfMemory.
  static Tensor empty(const Shape& shape, DType dtype = DType::float32, MemoryFormat format = MemoryFormat::row_major);

  bool defined() const { return static_cast<bool>(impl_); }
  const Shape& shape() const { return checked().shape; }
  /// Extent of one dimension; negative numbers count from the back.
  std::int64_t dim(int axis) const;
  int rank() const { return shape().rank(); }
  const Strides& strides() const { return checked().strides; }
  DType dtype() const { return checked().dtype; }
  std::int64_t num_elements() const;
  std::int64_t num_bytes() const;  ///< of the elements, were they dense
  Device device() const { return checked().storage->device(); }
  bool is_contiguous(MemoryFormat format = MemoryFormat::row_major) const;
  /// The order in which the elements are dense; row_major where they are in both, none where in neither.
  std::optional<MemoryFormat> memory_format() const;
  std::uint64_t version() const { return checked().storage->version(); }

  // ---- values -------------------------------------------------------------------------------------------------

  /// The elements in row-major order. Throws unless contiguous, on the host, and of type T.
  template <class T>
  std::span<const T> read() const {
    check_access(dtype_of<T>());
    return {data<T>(), static_cast<std::size_t>(num_elements())};
  }
  /// The same, writable; counts as one in-place change, by which saved values and packed weights notice. Later writes
  /// into a span that was kept do not count: call write() again for each change. Never recorded, as fill() and
  /// set_value(): gradients are those of the op that made the tensor. For what is differentiable use where(), pad() or
  /// arithmetic.
  template <class T>
  std::span<T> write() {
    check_access(dtype_of<T>());
    impl_->storage->bump_version();
    return {mutable_data<T>(), static_cast<std::size_t>(num_elements())};
  }
  /// A copy of the elements in row-major order, converted to T.
  template <class T>
  std::vector<T> to_vector() const;

  /// The value of a one-element tensor, converted to T. Throws ShapeError for any other size.
  template <class T = double>
  T item() const {
    if constexpr (std::is_same_v<T, bool>) return item_as_double() != 0;
    else if constexpr (std::is_floating_point_v<T>) return static_cast<T>(item_as_double());
    else return static_cast<T>(item_as_int64());
  }
  /// One element. Throws ShapeError if the indices do not fit.
  template <class T = double>
  T at(const Dims& indices) const {
    return element(indices).template item<T>();
  }

  /// Copies the values of `source`, whose shape and dtype must be equal, into this tensor's storage; they may overlap.
  /// Throws ShapeError, DtypeError; InvalidArgument if several elements of this tensor lie in one place.
  /// Not recorded, see write().
  void set_value(const Tensor& source);
  /// Not recorded, see write().
  void fill(double value);

  /// First element, for kernels: no check of dtype or strides. `mutable_data` does not bump the version.
  template <class T>
  const T* data() const {
    return reinterpret_cast<const T*>(impl_->storage->data()) + impl_->offset;
  }
  template <class T>
  T* mutable_data() const {
    return reinterpret_cast<T*>(impl_->storage->data()) + impl_->offset;
  }

  TensorImpl* impl() const { return impl_.get(); }
  const Ref<TensorImpl>& ref() const { return impl_; }
  /// True if both are handles of the same tensor.
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }

  // ---- derivatives (defined in autograd/) ---------------------------------------------------------------------

  /// True (the default) if no gradient flows through this tensor.
  bool stop_gradient() const { return !impl_ || !impl_->autograd || impl_->autograd->stopped; }
  /// False makes a leaf whose gradient is wanted; true cuts everything behind this tensor. Returns *this.
  /// Throws DtypeError when gradients are asked of a tensor that is not floating-point.
  Tensor& set_stop_gradient(bool stop);
  bool is_leaf() const;
  /// Runs the chain rule from here: accumulates into `.grad()` of every leaf it reaches. `grad` is ones if undefined.
  /// Does nothing if this tensor stops gradients. Throws GraphError if the graph was freed, ShapeError if `grad` does
  /// not fit.
  void backward(const Tensor& grad = {}, BackwardOptions options = {}) const;
  /// The gradient stored so far; undefined if none was produced. Intermediates keep one only after retain_grad().
  Tensor grad() const;
  /// Replaces it; an undefined one drops it. See Note [Gradients that keep their own graph].
  void set_grad(const Tensor& grad);
  /// Asks an intermediate result to keep its gradient: that of the newest backward(), not a sum over several as leaves
  /// have. grad() stores none. Does nothing for a leaf. Throws GraphError if this tensor stops gradients.
  void retain_grad();
  /// Drops the stored gradient, or sets it to zero as Paddle 1.8 does.
  void clear_gradient(bool set_to_zero = false);
  /// The same values outside of any graph; shares storage and version.
  Tensor detach() const;
  /// Called with this tensor's whole gradient during backward; returning a defined tensor replaces it, without its
  /// graph unless the pass has create_graph. A hook must not write into the gradient, whose memory other gradients may
  /// share: change a clone() and return it. Ops in a hook are recorded only if the pass has create_graph. Hooks run in
  /// order of registration; what they throw leaves backward as it is. Throws GraphError if this tensor stops gradients,
  /// InvalidArgument if the hook is empty.
  HookHandle register_hook(std::function<Tensor(const Tensor& grad)> hook) const;

  // ---- ops as methods (defined in autograd/, documented at the free functions of the same name) -------------------

  Tensor to(DType dtype) const;
  Tensor clone() const;
  /// This tensor, or a copy of it that is dense in the given order.
  Tensor contiguous(MemoryFormat format = MemoryFormat::row_major) const;
  Tensor reshape(const Shape& shape) const;
  Tensor flatten(int start_axis = 0, int stop_axis = -1) const;
  Tensor transpose(int axis_a, int axis_b) const;
  Tensor permute(const Axes& order) const;
  Tensor slice(int axis, std::int64_t start, std::int64_t stop, std::int64_t step = 1) const;
  Tensor select(int axis, std::int64_t index) const;
  Tensor expand(const Shape& shape) const;
  Tensor squeeze(int axis) const;
  Tensor unsqueeze(int axis) const;
  Tensor sum(const Axes& axes = {}, bool keepdim = false) const;
  Tensor mean(const Axes& axes = {}, bool keepdim = false) const;
  Tensor matmul(const Tensor& other) const;

 private:
  TensorImpl& checked() const {
    if (!impl_) fail_undefined();
    return *impl_;
  }
  [[noreturn]] static void fail_undefined();
  void check_access(DType dtype) const;
  double item_as_double() const;
  std::int64_t item_as_int64() const;
  Tensor element(const Dims& indices) const;

  Ref<TensorImpl> impl_;
};

}  // namespace dygrad
