// Tensors side by side: concat, stack.
#include <dygrad/autograd/ops/shape/shape.h>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/detail/support.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

struct Concat {
  static constexpr std::string_view name = "concat";
  Shape shape;
  int axis;
  std::vector<std::int64_t> extents;  // of each input along the axis
  Tensor forward(std::span<const Tensor> inputs) const {
    Tensor result = Tensor::empty(shape, inputs[0].dtype(), detail::format_of(inputs[0]));
    std::int64_t start = 0;
    for (const Tensor& input : inputs) {
      const std::int64_t stop = start + input.shape()[axis];
      kernel::copy(input, view::slice(result, axis, start, stop));
      start = stop;
    }
    return result;
  }
  std::vector<Tensor> vjp(const Tensor& g, const Saved&, NeedsGrad need) const {
    std::vector<Tensor> grads(extents.size());
    std::int64_t start = 0;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      if (need[i]) grads[i] = slice(g, axis, start, start + extents[i]);
      start += extents[i];
    }
    return grads;
  }
};

void check_all_defined(std::string_view op, std::span<const Tensor> tensors) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].defined()) detail::fail_undefined_operand(op, fmt::format("tensors[{}]", i));
  }
}

/// Throws unless the tensors agree in everything but `axis`. Returns the joined shape.
Shape joined_shape(std::span<const Tensor> tensors, int axis) {
  const Tensor& first = tensors[0];
  Shape shape = first.shape();
  shape[axis] = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& x = tensors[i];
    if (x.dtype() != first.dtype()) {
      throw DtypeError(Message("concat", "the tensors have different dtypes.")
                           .expected("{}, as tensors[0]", first.dtype())
                           .got("{} in tensors[{}]", x.dtype(), i)
                           .fix("convert with to()"));
    }
    Shape others = x.shape();
    if (others.rank() == shape.rank()) others[axis] = first.shape()[axis];
    if (others != first.shape()) {
      throw ShapeError(Message("concat", "the tensors do not fit together.")
                           .line("tensors[0] {}, axis {}", first.shape(), axis)
                           .expected("equal ranks, and equal extents but for the axis")
                           .got("tensors[{}] {}", i, x.shape())
                           .fix("slice or pad the tensors to equal extents, or join along another axis"));
    }
    if (__builtin_add_overflow(shape[axis], x.shape()[axis], &shape[axis])) {
      throw ShapeError(Message("concat", "the joined extent does not fit into 64 bits.")
                           .line("axis {}", axis)
                           .fix("join fewer tensors"));
    }
  }
  return shape;
}

std::vector<Tensor> raise(std::span<const Tensor> tensors, int axis) {
  std::vector<Tensor> raised;
  check_all_defined("stack", tensors);
  for (const Tensor& x : tensors) {
    if (x.shape() != tensors[0].shape()) {
      throw ShapeError(Message("stack", "the tensors have different shapes.")
                           .expected("{}, as tensors[0]", tensors[0].shape())
                           .got("{} in tensors[{}]", x.shape(), raised.size())
                           .fix("bring the tensors to one shape first"));
    }
    detail::check_room("stack", x);
    raised.push_back(unsqueeze(x, axis));
  }
  return raised;
}

}  // namespace

Tensor concat(std::span<const Tensor> tensors, int axis) {
  if (tensors.empty()) {
    throw InvalidArgument(Message("concat", "there is nothing to join.")
                              .expected("at least one tensor")
                              .got("none")
                              .fix("give at least one tensor, which may be empty"));
  }
  check_all_defined("concat", tensors);
  if (tensors[0].rank() == 0) {
    throw ShapeError(Message("concat", "tensors of rank 0 have no dimension to join.").fix("use stack"));
  }
  axis = normalize_axis(axis, tensors[0].rank(), "concat");
  return detail::with_out_of_memory("concat", [&] {
    Concat op{joined_shape(tensors, axis), axis, {}};
    for (const Tensor& x : tensors) op.extents.push_back(x.shape()[axis]);
    return apply(std::move(op), tensors);
  });
}

Tensor stack(std::span<const Tensor> tensors, int axis) {
  return concat(detail::with_out_of_memory("stack", [&] { return raise(tensors, axis); }), axis);
}

}  // namespace dygrad
