// The same elements in another shape or order: reshape, flatten, squeeze, unsqueeze, transpose, permute, expand,
// sum_to.
#include <dygrad/autograd/ops/shape/shape.h>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/detail/support.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

struct Reshape {
  static constexpr std::string_view name = "reshape";
  Shape from, to;
  Tensor forward(const Tensor& x) const {
    if (auto result = view::reshape(x, to)) return *std::move(result);
    return *view::reshape(kernel::clone(x, MemoryFormat::row_major), to);
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {reshape(g, from)}; }
};

// Note [Negative axes are normalised once]
// Ops hold axes, starts and sizes as their functions below have normalised them: inside [0, rank) and [0, extent]. A
// vjp that met a raw one would have to count it from the back of another shape.
struct Permute {
  static constexpr std::string_view name = "permute";
  Axes order;
  Tensor forward(const Tensor& x) const { return view::permute(x, order); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    Axes inverse = order;
    for (int i = 0; i < order.rank(); ++i) inverse[static_cast<int>(order[i])] = i;
    return {permute(g, inverse)};
  }
};

struct Transpose {
  static constexpr std::string_view name = "transpose";
  int axis_a, axis_b;
  Tensor forward(const Tensor& x) const { return view::transpose(x, axis_a, axis_b); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {transpose(g, axis_a, axis_b)}; }
};

struct Expand {
  static constexpr std::string_view name = "expand";
  Shape from, to;
  Tensor forward(const Tensor& x) const { return view::expand(x, to); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {sum_to(g, from)}; }
};

struct SumTo {
  static constexpr std::string_view name = "sum_to";
  Shape from, to;
  Tensor forward(const Tensor& x) const {
    Axes axes;
    const int missing = from.rank() - to.rank();
    for (int i = 0; i < from.rank(); ++i) {
      if (i < missing || (to[i - missing] == 1 && from[i] != 1)) axes.push_back(i);
    }
    return *view::reshape(kernel::reduce_sum(x, axes), to);
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {expand(g, from)}; }
};

}  // namespace

void detail::check_room(std::string_view op, const Tensor& x) {
  if (x.rank() < kMaxRank) return;
  throw ShapeError(Message(op, "the result would have too many dimensions.")
                       .line("x {}", x.shape())
                       .expected("rank at most {}", kMaxRank)
                       .got("{}", x.rank() + 1)
                       .fix("merge neighbouring dimensions with reshape"));
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  detail::check_defined("reshape", "x", x);
  return apply(Reshape{x.shape(), view::resolve_shape(x.shape(), shape)}, x);
}

Tensor flatten(const Tensor& x, int start_axis, int stop_axis) {
  detail::check_defined("flatten", "x", x);
  const int start = normalize_axis(start_axis, x.rank(), "flatten");
  const int stop = normalize_axis(stop_axis, x.rank(), "flatten");
  if (x.rank() == 0) return reshape(x, Shape(1));
  if (start > stop) {
    throw ShapeError(Message("flatten", "the axes are in the wrong order.")
                         .line("x {}", x.shape())
                         .expected("start_axis <= stop_axis")
                         .got("{} and {}", start_axis, stop_axis)
                         .fix("swap the axes"));
  }
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i > start && i <= stop) shape[start] *= x.shape()[i];
    else shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

Tensor transpose(const Tensor& x, int axis_a, int axis_b) {
  detail::check_defined("transpose", "x", x);
  axis_a = normalize_axis(axis_a, x.rank(), "transpose");
  axis_b = normalize_axis(axis_b, x.rank(), "transpose");
  return apply(Transpose{axis_a, axis_b}, x);
}

Tensor permute(const Tensor& x, const Axes& order) {
  detail::check_defined("permute", "x", x);
  Axes normal = order;
  for (std::int64_t& axis : normal) axis = normalize_axis(axis, x.rank(), "permute");
  return apply(Permute{normal}, x);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  detail::check_defined("expand", "x", x);
  if (shape == x.shape()) return x;
  return apply(Expand{x.shape(), shape}, x);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  detail::check_defined("sum_to", "x", x);
  if (!is_floating(x.dtype())) detail::fail_not_floating("sum_to", x.dtype());
  if (shape == x.shape()) return x;
  if (!is_expandable(shape, x.shape())) {
    throw ShapeError(Message("sum_to", "the tensor cannot be summed to this shape.")
                         .line("x {}", x.shape())
                         .expected("extents equal to x's, or 1, counted from the back")
                         .got("{}", shape)
                         .fix("give x's shape with extents of 1, or without leading dimensions, where x is summed"));
  }
  return apply(SumTo{x.shape(), shape}, x);
}

Tensor squeeze(const Tensor& x, int axis) {
  detail::check_defined("squeeze", "x", x);
  const int at = normalize_axis(axis, x.rank(), "squeeze");
  if (x.rank() == 0) {
    throw ShapeError(Message("squeeze", "a tensor of rank 0 has no dimension to remove.").fix("use x itself"));
  }
  if (x.shape()[at] != 1) {
    throw ShapeError(Message("squeeze", "only an extent of 1 can be removed.")
                         .line("x {}, axis {}", x.shape(), axis)
                         .expected("extent 1")
                         .got("{}", x.shape()[at])
                         .fix("select a cell of this axis, or reduce along it"));
  }
  Shape shape = x.shape();
  shape.erase(at);
  return apply(Reshape{x.shape(), shape}, x);
}

Tensor unsqueeze(const Tensor& x, int axis) {
  detail::check_defined("unsqueeze", "x", x);
  detail::check_room("unsqueeze", x);
  Shape shape = x.shape();
  shape.insert(normalize_axis(axis, x.rank() + 1, "unsqueeze"), 1);
  return apply(Reshape{x.shape(), shape}, x);
}

}  // namespace dygrad
