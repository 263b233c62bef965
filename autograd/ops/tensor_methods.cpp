// The members of Tensor that need derivatives: see the note at the top of core/tensor/tensor.h.
#include <mutex>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {
LeafNode* leaf_of(const Tensor& x) {
  TensorImpl* impl = x.impl();
  if (!impl || !impl->autograd) return nullptr;
  auto* node = static_cast<Node*>(impl->autograd.get());
  return node->is_leaf() ? static_cast<LeafNode*>(node) : nullptr;
}

/// The old gradient goes after the lock: its memory's deleter, or a graph that ends with it, may look at this one.
void replace(Mutex& lock, Tensor& grad, Tensor by) {
  const std::scoped_lock guard(lock);
  std::swap(grad, by);
}
}  // namespace

Tensor& Tensor::set_stop_gradient(bool stop) {
  TensorImpl& impl = checked();
  if (LeafNode* leaf = leaf_of(*this)) {
    leaf->stopped = stop;  // keeps the stored gradient and hooks of a leaf that is frozen for a while
  } else if (stop) {
    impl.autograd = nullptr;
  } else if (!impl.autograd) {
    if (!is_floating(impl.dtype)) {
      throw DtypeError(Message("set_stop_gradient", "only floating-point tensors have gradients.")
                           .expected("dtype float32 or float64")
                           .got("{}", impl.dtype)
                           .fix("convert first: x.to(float32)"));
    }
    impl.autograd = make_ref<LeafNode>(impl.shape, impl.dtype);
  }
  return *this;
}

bool Tensor::is_leaf() const { return !checked().autograd || leaf_of(*this); }

void Tensor::backward(const Tensor& grad, BackwardOptions options) const {
  (void)checked();
  dygrad::backward(std::span<const Tensor>(this, 1), std::span<const Tensor>(&grad, 1), options);
}

Tensor Tensor::grad() const {
  if (LeafNode* leaf = leaf_of(*this)) {
    const std::scoped_lock lock(leaf->lock);
    return leaf->grad;
  }
  const Node* node = gradient_node(*this);
  Node::Extras* extras = node ? node->extras() : nullptr;
  if (!extras) return Tensor();
  const std::scoped_lock lock(extras->lock);
  return extras->retained_grad;
}

void Tensor::set_grad(const Tensor& grad) {
  LeafNode* leaf = leaf_of(*this);
  if (!leaf) {
    if (const Node* node = gradient_node(*this)) {
      throw GraphError(Message("set_grad", "only leaves have a gradient stored.")
                           .lines("the tensor is the output of {}", node->describe())
                           .fix("change its gradient in a register_hook, or set that of a leaf"));
    }
    throw GraphError(
        Message("set_grad", "needs a leaf that wants its gradient.").fix("call set_stop_gradient(false) first"));
  }
  if (grad.defined() && grad.shape() != shape())
    throw ShapeError(Message("set_grad", "the gradient has the wrong shape.")
                         .expected("{}", shape())
                         .got("{}", grad.shape())
                         .fix("give one gradient element per element of the tensor"));
  if (grad.defined() && grad.dtype() != dtype())
    throw DtypeError(Message("set_grad", "the gradient has the wrong dtype.")
                         .expected("{}", dtype())
                         .got("{}", grad.dtype())
                         .fix("convert it first: grad.to(dygrad::{})", dtype()));
  replace(leaf->lock, leaf->grad, grad);
}

void Tensor::retain_grad() {
  Node* node = gradient_node(*this);
  if (!node)
    throw GraphError(Message("retain_grad", "the tensor stops gradients, so it never gets one.")
                         .fix("call set_stop_gradient(false) on a tensor it depends on"));
  if (!node->is_leaf()) detail::with_out_of_memory("retain_grad", [&] { node->make_extras().retain_grad = true; });
}

void Tensor::clear_gradient(bool set_to_zero) {
  if (LeafNode* leaf = leaf_of(*this)) {
    replace(leaf->lock, leaf->grad, set_to_zero ? zeros_like(*this) : Tensor());
  } else if (Node* node = gradient_node(*this); node && node->extras()) {
    Node::Extras& extras = *node->extras();
    replace(extras.lock, extras.retained_grad, set_to_zero ? zeros_like(*this) : Tensor());
  }
}

Tensor Tensor::detach() const {
  (void)checked();
  return view::alias(*this);
}

HookHandle Tensor::register_hook(std::function<Tensor(const Tensor& grad)> hook) const {
  Node* node = gradient_node(*this);
  if (!node)
    throw GraphError(Message("register_hook", "the tensor stops gradients, so its hook would never run.")
                         .fix("call set_stop_gradient(false) first"));
  constexpr std::string_view op = "register_hook";
  return detail::with_out_of_memory(op, [&] { return node->make_extras().hooks.add(std::move(hook), op); });
}

Tensor Tensor::to(DType dtype) const { return dygrad::cast(*this, dtype); }
Tensor Tensor::clone() const { return dygrad::clone(*this); }
Tensor Tensor::contiguous(MemoryFormat format) const { return dygrad::contiguous(*this, format); }
Tensor Tensor::reshape(const Shape& shape) const { return dygrad::reshape(*this, shape); }
Tensor Tensor::flatten(int start_axis, int stop_axis) const { return dygrad::flatten(*this, start_axis, stop_axis); }
Tensor Tensor::transpose(int axis_a, int axis_b) const { return dygrad::transpose(*this, axis_a, axis_b); }
Tensor Tensor::permute(const Axes& order) const { return dygrad::permute(*this, order); }
Tensor Tensor::slice(int axis, std::int64_t start, std::int64_t stop, std::int64_t step) const {
  return dygrad::slice(*this, axis, start, stop, step);
}
Tensor Tensor::select(int axis, std::int64_t index) const { return dygrad::select(*this, axis, index); }
Tensor Tensor::expand(const Shape& shape) const { return dygrad::expand(*this, shape); }
Tensor Tensor::squeeze(int axis) const { return dygrad::squeeze(*this, axis); }
Tensor Tensor::unsqueeze(int axis) const { return dygrad::unsqueeze(*this, axis); }
Tensor Tensor::sum(const Axes& axes, bool keepdim) const { return dygrad::sum(*this, axes, keepdim); }
Tensor Tensor::mean(const Axes& axes, bool keepdim) const { return dygrad::mean(*this, axes, keepdim); }
Tensor Tensor::matmul(const Tensor& other) const { return dygrad::matmul(*this, other); }

}  // namespace dygrad
