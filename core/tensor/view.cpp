#include <dygrad/core/tensor/view.h>

#include <algorithm>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/tensor/detail/layout.h>

namespace dygrad::view {

Tensor strided(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t offset) {
  return Tensor(make_ref<TensorImpl>(x.impl()->storage, shape, strides, offset, x.dtype()));
}

Tensor alias(const Tensor& x) {
  const Shape& shape = x.shape();  // throws if x is undefined
  return strided(x, shape, x.strides(), x.impl()->offset);
}

Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step) {
  axis = normalize_axis(axis, x.rank(), "slice");
  if (x.rank() == 0)
    throw ShapeError(
        Message("slice", "a tensor of rank 0 has no dimension to slice.").fix("add a dimension first: x.unsqueeze(0)"));
  if (step < 1)
    throw ShapeError(
        Message("slice", "the step must be positive.")
            .expected("step >= 1")
            .got("{}", step)
            .fix("give a step of 1 or more; to go backwards, take index_select with indices that count down"));
  const kernel::Range range = kernel::resolve_range(x.shape()[axis], start, stop);
  Shape shape = x.shape();
  Strides strides = x.strides();
  const std::int64_t count = range.stop - range.start;
  shape[axis] = count / step + (count % step != 0 ? 1 : 0);
  const std::int64_t offset = x.impl()->offset + (shape[axis] > 0 ? range.start * strides[axis] : 0);
  if (shape[axis] > 1) strides[axis] *= step;
  return strided(x, shape, strides, offset);
}

Tensor select(const Tensor& x, int axis, std::int64_t index) {
  axis = normalize_axis(axis, x.rank(), "select");
  if (x.rank() == 0)
    throw ShapeError(Message("select", "a tensor of rank 0 has no dimension to select from.")
                         .fix("use x itself, or item() for its value"));
  const std::int64_t extent = x.shape()[axis];
  if (index < -extent || index >= extent) {
    throw ShapeError(Message("select", "index out of range.")
                         .line("x {}", x.shape())
                         .expected("an index in [{}, {}) along axis {}", -extent, extent, axis)
                         .got("{}", index)
                         .fix("count from 0, or from -1 for the last one"));
  }
  Shape shape = x.shape();
  Strides strides = x.strides();
  const std::int64_t offset = x.impl()->offset + (index < 0 ? index + extent : index) * strides[axis];
  shape.erase(axis);
  strides.erase(axis);
  return strided(x, shape, strides, offset);
}

Tensor permute(const Tensor& x, const Axes& order) {
  if (order.rank() != x.rank()) {
    throw ShapeError(Message("permute", "needs each dimension once.")
                         .line("x {}", x.shape())
                         .expected("{} axes", x.rank())
                         .got("{}", order)
                         .fix("list every axis of x in the new order"));
  }
  Shape shape = x.shape();
  Strides strides = x.strides();
  Axes seen;
  for (int i = 0; i < order.rank(); ++i) {
    const int from = normalize_axis(order[i], x.rank(), "permute");
    if (seen.contains(from))
      throw ShapeError(Message("permute", "an axis is given twice.")
                           .line("x {}", x.shape())
                           .expected("each axis once")
                           .got("{}", order)
                           .fix("list every axis of x in the new order"));
    seen.push_back(from);
    shape[i] = x.shape()[from];
    strides[i] = x.strides()[from];
  }
  return strided(x, shape, strides, x.impl()->offset);
}

Tensor transpose(const Tensor& x, int axis_a, int axis_b) {
  axis_a = normalize_axis(axis_a, x.rank(), "transpose");
  axis_b = normalize_axis(axis_b, x.rank(), "transpose");
  if (x.rank() == 0) return alias(x);
  Shape shape = x.shape();
  Strides strides = x.strides();
  std::swap(shape[axis_a], shape[axis_b]);
  std::swap(strides[axis_a], strides[axis_b]);
  return strided(x, shape, strides, x.impl()->offset);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (!is_expandable(x.shape(), shape)) {
    throw ShapeError(Message("expand", "the tensor cannot be repeated to this shape.")
                         .line("x {}", x.shape())
                         .expected("extents equal to x's, or x's extent 1, counted from the back")
                         .got("{}", shape)
                         .fix("add extents of 1 with unsqueeze or reshape where x is to be repeated"));
  }
  (void)num_bytes(shape, size_of(x.dtype()), "expand");  // throws where the new shape is invalid
  Strides strides = Strides::filled(shape.rank(), 0);
  for (int back = 1; back <= x.rank(); ++back) {
    const int from = x.rank() - back;
    strides[shape.rank() - back] = x.shape()[from] == 1 && shape[shape.rank() - back] != 1 ? 0 : x.strides()[from];
  }
  return strided(x, shape, strides, x.impl()->offset);
}

std::optional<Tensor> reshape(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous()) return strided(x, shape, dense_strides(shape), x.impl()->offset);
  // Walk both shapes from the back in chunks of equal size; inside a chunk the old dimensions must be evenly spaced.
  Strides strides = Strides::filled(shape.rank(), 0);
  int old_dim = x.rank() - 1;
  int new_dim = shape.rank() - 1;
  while (old_dim >= 0 || new_dim >= 0) {
    while (old_dim >= 0 && x.shape()[old_dim] == 1) --old_dim;
    const std::int64_t step = old_dim >= 0 ? x.strides()[old_dim] : 1;
    std::int64_t old_chunk = old_dim >= 0 ? x.shape()[old_dim] : 1;
    std::int64_t old_span = old_dim >= 0 ? step * x.shape()[old_dim] : 1;
    if (old_dim >= 0) --old_dim;
    std::int64_t new_chunk = 1;
    for (;;) {
      while (new_dim >= 0 && (new_chunk < old_chunk || shape[new_dim] == 1)) {
        strides[new_dim] = step * new_chunk;
        new_chunk *= shape[new_dim--];
      }
      if (new_chunk == old_chunk) break;
      while (old_dim >= 0 && x.shape()[old_dim] == 1) --old_dim;
      if (old_dim < 0 || x.strides()[old_dim] != old_span) return std::nullopt;
      old_span = x.strides()[old_dim] * x.shape()[old_dim];
      old_chunk *= x.shape()[old_dim--];
    }
  }
  return strided(x, shape, strides, x.impl()->offset);
}

Shape resolve_shape(const Shape& from, const Shape& shape, const char* op) {
  Shape result = shape;
  int wildcard = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && wildcard < 0) wildcard = i;
    else if (shape[i] < 0)
      throw ShapeError(Message(op, "at most one extent may be -1, and none less.")
                           .line("x {}", from)
                           .got("{}", shape)
                           .fix("give the extents, and -1 for one of them to infer it"));
    else if (__builtin_mul_overflow(known, shape[i], &known))
      throw ShapeError(Message(op, "the new shape does not fit into 64 bits.")
                           .got("{}", shape)
                           .fix("give extents whose product is {}", num_elements(from)));
  }
  const std::int64_t count = num_elements(from);
  if (wildcard >= 0 && known != 0 && count % known == 0) {
    result[wildcard] = count / known;
  } else if (wildcard >= 0 || known != count) {
    throw ShapeError(Message(op, "the number of elements would change.")
                         .line("x {}", from)
                         .expected("{} elements", count)
                         .got("shape {}", shape)
                         .fix("give extents whose product is {}, or -1 for one of them", count));
  }
  return result;
}

}  // namespace dygrad::view
