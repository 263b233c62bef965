#include <dygrad/autograd/ops/shape/shape.h>

#include <fmt/ranges.h>

#include <algorithm>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/tensor/detail/layout.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

constexpr std::int64_t kMostEmptyPieces = 65536;  // of an extent of 0, which any number divides

MemoryFormat format_of(const Tensor& x) { return x.memory_format().value_or(MemoryFormat::row_major); }

struct Reshape {
  static constexpr std::string_view name = "reshape";
  Shape from, to;
  Tensor forward(const Tensor& x) const {
    if (auto result = view::reshape(x, to)) return *std::move(result);
    return *view::reshape(kernel::clone(x, MemoryFormat::row_major), to);
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {reshape(g, from)}; }
};

// Note [Arguments are brought into range once]
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

/// Fills what lies before `start` and from `stop` on along an axis; returns the part between.
Tensor fill_around(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, double value) {
  kernel::fill(view::slice(x, axis, 0, start), value);
  kernel::fill(view::slice(x, axis, stop, x.shape()[axis]), value);
  return view::slice(x, axis, start, stop);
}

/// Elements start, start + step, ... before stop of one dimension of `whole`; 0 <= start <= stop <= its extent.
struct Window {
  Shape whole;
  int axis;
  std::int64_t start, stop, step;
};

Tensor slice_scatter(const Tensor& source, const Window& window);

struct Slice {
  static constexpr std::string_view name = "slice";
  Window window;
  Tensor forward(const Tensor& x) const { return view::slice(x, window.axis, window.start, window.stop, window.step); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {slice_scatter(g, window)}; }
};

/// The adjoint of slice: zeros of the whole shape, with the source in its window.
struct SliceScatter {
  static constexpr std::string_view name = "slice_scatter";
  Window window;
  Tensor forward(const Tensor& source) const {
    Tensor result = Tensor::empty(window.whole, source.dtype(), format_of(source));
    if (window.step == 1) {
      kernel::copy(source, fill_around(result, window.axis, window.start, window.stop, 0));
    } else {
      kernel::fill(result, 0);
      kernel::copy(source, view::slice(result, window.axis, window.start, window.stop, window.step));
    }
    return result;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {slice(g, window.axis, window.start, window.stop, window.step)};
  }
};

Tensor slice_scatter(const Tensor& source, const Window& window) { return apply(SliceScatter{window}, source); }

struct Select {
  static constexpr std::string_view name = "select";
  Shape whole;
  int axis;
  std::int64_t index;
  Tensor forward(const Tensor& x) const { return view::select(x, axis, index); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {slice_scatter(unsqueeze(g, axis), {whole, axis, index, index + 1, 1})};
  }
};

struct Concat {
  static constexpr std::string_view name = "concat";
  Shape shape;
  int axis;
  std::vector<std::int64_t> extents;  // of each input along the axis
  Tensor forward(std::span<const Tensor> inputs) const {
    Tensor result = Tensor::empty(shape, inputs[0].dtype(), format_of(inputs[0]));
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

/// Puts x into a tensor of shape `to`, element 0 of each dimension at `before`, which lies in [-from, to]: what falls
/// outside is cropped, what is left free gets the value.
struct Pad {
  static constexpr std::string_view name = "pad";
  Shape from, to;
  std::array<std::int64_t, kMaxRank> before;
  double value;
  Tensor forward(const Tensor& x) const {
    Tensor source = x;
    bool fills = true;
    for (int i = 0; i < to.rank(); ++i) {
      const std::int64_t at = before[static_cast<std::size_t>(i)];
      const std::int64_t first = std::max<std::int64_t>(-at, 0), place = std::max<std::int64_t>(at, 0);
      source = view::slice(source, i, first, first + std::min(from[i] - first, to[i] - place));
      fills = fills && source.shape()[i] == to[i];
    }
    if (fills) return source;
    Tensor result = Tensor::empty(to, x.dtype(), format_of(x));
    Tensor window = result;
    for (int i = 0; i < to.rank(); ++i) {
      const std::int64_t at = std::max<std::int64_t>(before[static_cast<std::size_t>(i)], 0);
      window = fill_around(window, i, at, at + source.shape()[i], value);
    }
    kernel::copy(source, window);
    return result;
  }
  // The adjoint of padding with zeros is cropping, and the other way round.
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    std::array<std::int64_t, kMaxRank> opposite{};
    for (std::size_t i = 0; i < kMaxRank; ++i) opposite[i] = -before[i];
    return {apply(Pad{to, from, opposite, 0}, g)};
  }
};

struct Cast {
  static constexpr std::string_view name = "cast";
  DType from, to;
  Tensor forward(const Tensor& x) const { return kernel::cast(x, to); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {cast(g, from)}; }
};

struct Clone {
  static constexpr std::string_view name = "clone";
  Tensor forward(const Tensor& x) const { return kernel::clone(x); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};

struct Contiguous {
  static constexpr std::string_view name = "contiguous";
  MemoryFormat format;
  Tensor forward(const Tensor& x) const { return kernel::contiguous(x, format); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};

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

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  return apply(Reshape{x.shape(), view::resolve_shape(x.shape(), shape)}, x);
}

Tensor flatten(const Tensor& x, int start_axis, int stop_axis) {
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
  axis_a = normalize_axis(axis_a, x.rank(), "transpose");
  axis_b = normalize_axis(axis_b, x.rank(), "transpose");
  return apply(Transpose{axis_a, axis_b}, x);
}

Tensor permute(const Tensor& x, const Axes& order) {
  Axes normal = order;
  for (std::int64_t& axis : normal) axis = normalize_axis(axis, x.rank(), "permute");
  return apply(Permute{normal}, x);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (shape == x.shape()) return x;
  return apply(Expand{x.shape(), shape}, x);
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
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

Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step) {
  axis = normalize_axis(axis, x.rank(), "slice");
  const kernel::Range range = kernel::resolve_range(x.rank() == 0 ? 0 : x.shape()[axis], start, stop);
  return apply(Slice{{x.shape(), axis, range.start, range.stop, step}}, x);
}

Tensor select(const Tensor& x, int axis, std::int64_t index) {
  axis = normalize_axis(axis, x.rank(), "select");
  if (index < 0 && x.rank() > 0 && index >= -x.shape()[axis]) index += x.shape()[axis];
  return apply(Select{x.shape(), axis, index}, x);
}

Tensor squeeze(const Tensor& x, int axis) {
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

/// Throws unless x has room for one more dimension.
static void check_room(std::string_view op, const Tensor& x) {
  if (x.rank() < kMaxRank) return;
  throw ShapeError(Message(op, "the result would have too many dimensions.")
                       .line("x {}", x.shape())
                       .expected("rank at most {}", kMaxRank)
                       .got("{}", x.rank() + 1)
                       .fix("merge neighbouring dimensions with reshape"));
}

Tensor unsqueeze(const Tensor& x, int axis) {
  check_room("unsqueeze", x);
  Shape shape = x.shape();
  shape.insert(normalize_axis(axis, x.rank() + 1, "unsqueeze"), 1);
  return apply(Reshape{x.shape(), shape}, x);
}

Tensor concat(std::span<const Tensor> tensors, int axis) {
  if (tensors.empty()) {
    throw InvalidArgument(Message("concat", "there is nothing to join.")
                              .expected("at least one tensor")
                              .got("none")
                              .fix("give at least one tensor, which may be empty"));
  }
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

static std::vector<Tensor> raise(std::span<const Tensor> tensors, int axis) {
  std::vector<Tensor> raised;
  for (const Tensor& x : tensors) {
    if (x.shape() != tensors[0].shape()) {
      throw ShapeError(Message("stack", "the tensors have different shapes.")
                           .expected("{}, as tensors[0]", tensors[0].shape())
                           .got("{} in tensors[{}]", x.shape(), raised.size())
                           .fix("bring the tensors to one shape first"));
    }
    check_room("stack", x);
    raised.push_back(unsqueeze(x, axis));
  }
  return raised;
}

Tensor stack(std::span<const Tensor> tensors, int axis) {
  return concat(detail::with_out_of_memory("stack", [&] { return raise(tensors, axis); }), axis);
}

static void check_has_dimension(const Tensor& x) {
  if (x.rank() > 0) return;
  throw ShapeError(
      Message("split", "a tensor of rank 0 has no dimension to split.").fix("add a dimension first: x.unsqueeze(0)"));
}

std::vector<Tensor> split(const Tensor& x, std::span<const std::int64_t> sizes, int axis) {
  axis = normalize_axis(axis, x.rank(), "split");
  check_has_dimension(x);
  std::int64_t total = 0;
  bool sound = true;
  for (std::int64_t size : sizes) sound = sound && size >= 0 && !__builtin_add_overflow(total, size, &total);
  if (!sound || total != x.shape()[axis]) {
    throw ShapeError(Message("split", "the sizes do not cover the dimension.")
                         .line("x {}, axis {}", x.shape(), axis)
                         .expected("sizes >= 0 that add up to {}", x.shape()[axis])
                         .got("{}", fmt::join(sizes, " + "))
                         .fix("change the sizes, or slice x first"));
  }
  return detail::with_out_of_memory("split", [&] {
    std::vector<Tensor> pieces;
    std::int64_t start = 0;
    for (std::int64_t size : sizes) {
      pieces.push_back(slice(x, axis, start, start + size));
      start += size;
    }
    return pieces;
  });
}

std::vector<Tensor> split(const Tensor& x, std::int64_t pieces, int axis) {
  axis = normalize_axis(axis, x.rank(), "split");
  check_has_dimension(x);
  const std::int64_t extent = x.shape()[axis];
  const std::int64_t most = std::max(extent, kMostEmptyPieces);
  if (pieces < 1 || pieces > most || extent % pieces != 0) {
    throw ShapeError(Message("split", "the dimension cannot be cut into equal pieces.")
                         .line("x {}, axis {}", x.shape(), axis)
                         .expected("a number of pieces in [1, {}] that divides {}", most, extent)
                         .got("{}", pieces)
                         .fix("give the sizes one by one"));
  }
  const std::int64_t size = extent / pieces;
  return detail::with_out_of_memory("split", [&] {
    std::vector<Tensor> result;
    for (std::int64_t i = 0; i < pieces; ++i) result.push_back(slice(x, axis, i * size, (i + 1) * size));
    return result;
  });
}

Tensor pad(const Tensor& x, std::span<const PadAmount> amounts, double value) {
  if (amounts.size() > x.shape().size()) {
    throw ShapeError(Message("pad", "there are more amounts than dimensions.")
                         .line("x {}", x.shape())
                         .expected("at most {} amounts", x.rank())
                         .got("{}", amounts.size())
                         .fix("leave out the first {}", amounts.size() - x.shape().size()));
  }
  Pad op{x.shape(), x.shape(), {}, value};
  const std::size_t skipped = x.shape().size() - amounts.size();
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    const auto [before, after] = amounts[i];
    const int dim = static_cast<int>(skipped + i);
    std::int64_t& extent = op.to[dim];
    if (__builtin_add_overflow(extent, before, &extent) || __builtin_add_overflow(extent, after, &extent) ||
        extent < 0) {
      throw ShapeError(Message("pad", "the padded extent is not sound.")
                           .line("x {}, dimension {}", x.shape(), dim)
                           .expected("x's extent + before + after >= 0, within 64 bits")
                           .got("before {}, after {}", before, after)
                           .fix("crop less than there is, or pad less"));
    }
    op.before[skipped + i] = std::clamp(before, -x.shape()[dim], extent);
  }
  return apply(op, x);
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  if (!is_floating(dtype) || !is_floating(x.dtype())) return kernel::cast(x, dtype);
  return apply(Cast{x.dtype(), dtype}, x);
}

Tensor clone(const Tensor& x) { return apply(Clone{}, x); }

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  if (x.rank() != 4) format = MemoryFormat::row_major;
  if (x.is_contiguous(format)) return x;
  return apply(Contiguous{format}, x);
}

}  // namespace dygrad
