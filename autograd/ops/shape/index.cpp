#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/strided_loop.h>
#include <dygrad/core/simd/long_sum.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

using kernel::kShortSum;
using kernel::LongSum;

/// The coordinates of the i-th element, counted row-major.
Shape coordinates_of(const Shape& shape, std::int64_t i) {
  Shape at = shape;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    at[d] = i % shape[d];
    i /= shape[d];
  }
  return at;
}

/// `where` is the i-th element of `index`, counted row-major.
[[noreturn]] void fail_index(std::string_view op, const Tensor& index, std::int64_t where, std::int64_t value,
                             std::int64_t extent) {
  Message message(op, "an index is out of range.");
  (void)std::move(message).line("index {}, at {}", index.shape(), coordinates_of(index.shape(), where));
  if (extent == 0) {
    throw ShapeError(
        std::move(message)
            .expected("no index: the dimension that they count in has extent 0")
            .got("{}", value)
            .fix("give an empty index, or an extent of at least {}", std::max<std::int64_t>(value, 0) + 1));
  }
  throw ShapeError(std::move(message)
                       .expected("{} <= index < {}", -extent, extent)
                       .got("{}", value)
                       .fix("count from 0, or from -1 for the last one"));
}

/// A dense copy of `index` with its negative entries counted from the front; ops own it, so that later changes of the
/// caller's tensor do not reach a recorded graph. Throws unless all entries are inside [-extent, extent).
Tensor checked_index(std::string_view op, const Tensor& index, std::int64_t extent) {
  if (index.dtype() != DType::int64) {
    throw DtypeError(Message(op, "the index tensor has the wrong dtype.")
                         .line("index {} {}", name_of(index.dtype()), index.shape())
                         .expected("int64")
                         .got("{}", name_of(index.dtype()))
                         .fix("convert it with index.to(int64)"));
  }
  Tensor result = kernel::clone(index, MemoryFormat::row_major);
  const std::span<std::int64_t> values = result.write<std::int64_t>();
  for (std::int64_t& i : values) {
    if (i < -extent || i >= extent) fail_index(op, index, &i - values.data(), i, extent);
    if (i < 0) i += extent;
  }
  return result;
}

Shape with_extent(Shape shape, int axis, std::int64_t extent) {
  shape[axis] = extent;
  return shape;
}

/// A dense tensor seen along one axis: [outer, extent, inner].
struct AxisView {
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  AxisView(const Shape& shape, int axis) {
    for (int d = 0; d < axis; ++d) outer *= shape[d];
    for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape[d];
  }
  /// Calls f(o, begin, end) for every outer index o and ranges [begin, end) of inner ones. Ranges do not overlap, so
  /// threads may add into one tensor, each at its own inner indices, in the order of the axis.
  template <class F>
  void for_each(std::int64_t count, const F& f) const {
    if (outer == 1) {
      parallel_for(inner, grain_for(count), [&](std::int64_t begin, std::int64_t end) { f(0, begin, end); });
      return;
    }
    parallel_for(outer, grain_for(count * inner), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) f(o, 0, inner);
    });
  }
  static std::int64_t grain_for(std::int64_t elements_each) {
    return std::max<std::int64_t>(kernel::kElementwiseGrain / std::max<std::int64_t>(elements_each, 1), 1);
  }
};

/// A dense tensor to read at indices along an axis. Where x repeats one slice, as an expanded tensor does, that slice
/// alone is made dense, and all indices are 0.
struct IndexedSource {
  Tensor dense, index;
  std::int64_t extent;
  IndexedSource(const Tensor& x, int axis, const Tensor& indices) {
    const bool repeats = x.shape()[axis] > 1 && x.strides()[axis] == 0;
    dense = kernel::contiguous(repeats ? view::slice(x, axis, 0, 1) : x);
    index = repeats ? zeros(indices.shape(), int64) : indices;
    extent = dense.shape()[axis];
  }
};

// index_select and index_add are each other's adjoint, and so each other's vjp; likewise gather and scatter_add.
struct IndexAdd {
  static constexpr std::string_view name = "index_add";
  int axis;
  Tensor index;
  std::int64_t extent;
  Tensor forward(const Tensor& source) const;
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const;
};

struct IndexSelect {
  static constexpr std::string_view name = "index_select";
  int axis;
  Tensor index;
  std::int64_t extent;  // of x along axis

  Tensor forward(const Tensor& x) const {
    const std::int64_t count = index.num_elements();
    Tensor y = Tensor::empty(with_extent(x.shape(), axis, count), x.dtype());
    if (y.num_elements() == 0) return y;
    const IndexedSource source(x, axis, index);
    const AxisView view(x.shape(), axis);
    const std::int64_t* at = source.index.data<std::int64_t>();
    const std::int64_t rows = source.extent;
    dispatch_all(x.dtype(), [&]<class T>() {
      const T* from = source.dense.data<T>();
      T* to = y.mutable_data<T>();
      const std::size_t row_bytes = static_cast<std::size_t>(view.inner) * sizeof(T);
      parallel_for(view.outer * count, AxisView::grain_for(view.inner), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t source_row = row / count * rows + at[row % count];
          std::memcpy(to + row * view.inner, from + source_row * view.inner, row_bytes);
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {apply(IndexAdd{axis, index, extent}, g)}; }
};

// Note [Sums over equal indices]
// Up to kShortSum terms are added where the result is. Places that get more are summed as LongSums, which take memory
// of their own: index_add has a row of them for each such index, scatter_add one for each element of the result.
template <class T>
LongSum<T>* long_sums(const Tensor& workspace) {
  return reinterpret_cast<LongSum<T>*>(workspace.mutable_data<double>());
}
Tensor workspace_for(std::int64_t sums, DType dtype) {
  constexpr auto kDoubles = static_cast<std::int64_t>(sizeof(LongSum<double>) / sizeof(double));
  return zeros(Shape(sums, dtype == DType::float32 ? 1 : kDoubles), float64);
}

/// Numbers the indices that occur more than kShortSum times, from 0; -1 for the others.
struct LongRows {
  Tensor row_of;  // int64, per index; undefined if there are none
  std::int64_t count = 0;

  LongRows(const Tensor& index, std::int64_t extent) {
    if (index.num_elements() <= kShortSum) return;
    row_of = zeros(Shape(extent), int64);
    std::int64_t* times = row_of.mutable_data<std::int64_t>();
    for (const std::int64_t i : index.read<std::int64_t>()) ++times[i];
    for (std::int64_t i = 0; i < extent; ++i) times[i] = times[i] > kShortSum ? count++ : -1;
    if (count == 0) row_of = Tensor();
  }
};

Tensor IndexAdd::forward(const Tensor& source) const {
  const std::int64_t count = index.num_elements();
  Tensor y = zeros(with_extent(source.shape(), axis, extent), source.dtype());
  if (source.num_elements() == 0) return y;
  const Tensor dense = kernel::contiguous(source);
  const AxisView view(source.shape(), axis);
  const LongRows rows(index, extent);
  const Tensor workspace = workspace_for(view.outer * rows.count * view.inner, y.dtype());
  const std::int64_t* at = index.data<std::int64_t>();
  const std::int64_t* row_of = rows.count > 0 ? rows.row_of.data<std::int64_t>() : nullptr;
  dispatch_float(source.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = y.mutable_data<T>();
    LongSum<T>* sums = long_sums<T>(workspace);
    view.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
      const auto long_row = [&](std::int64_t i) { return sums + (o * rows.count + row_of[i]) * view.inner; };
      for (std::int64_t i = 0; i < count; ++i) {
        const T* from_row = from + (o * count + i) * view.inner;
        if (row_of && row_of[at[i]] >= 0) {
          LongSum<T>* to_row = long_row(at[i]);
          for (std::int64_t k = begin; k < end; ++k) to_row[k].add(from_row[k]);
        } else {
          T* to_row = to + (o * extent + at[i]) * view.inner;
          for (std::int64_t k = begin; k < end; ++k) to_row[k] += from_row[k];
        }
      }
      for (std::int64_t i = 0; row_of && i < extent; ++i) {
        if (row_of[i] < 0) continue;
        for (std::int64_t k = begin; k < end; ++k) to[(o * extent + i) * view.inner + k] = long_row(i)[k].value();
      }
    });
  });
  return y;
}

Grads<1> IndexAdd::vjp(const Tensor& g, const Saved&, NeedsGrad) const {
  return {apply(IndexSelect{axis, index, extent}, g)};
}

struct ScatterAdd {
  static constexpr std::string_view name = "scatter_add";
  int axis;
  Tensor index;
  std::int64_t extent;
  Tensor forward(const Tensor& source) const;
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const;
};

struct Gather {
  static constexpr std::string_view name = "gather";
  int axis;
  Tensor index;
  std::int64_t extent;

  Tensor forward(const Tensor& x) const {
    Tensor y = Tensor::empty(index.shape(), x.dtype());
    if (y.num_elements() == 0) return y;
    const IndexedSource source(x, axis, index);
    const AxisView view(index.shape(), axis);
    const std::int64_t count = index.shape()[axis];
    const std::int64_t* at = source.index.data<std::int64_t>();
    const std::int64_t rows = source.extent;
    dispatch_all(x.dtype(), [&]<class T>() {
      const T* from = source.dense.data<T>();
      T* to = y.mutable_data<T>();
      view.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t row = (o * count + i) * view.inner;
          for (std::int64_t k = begin; k < end; ++k) to[row + k] = from[(o * rows + at[row + k]) * view.inner + k];
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {apply(ScatterAdd{axis, index, extent}, g)}; }
};

/// True if more than kShortSum elements go to one place.
bool has_long_sums(const AxisView& view, const Tensor& index, std::int64_t count, std::int64_t extent) {
  if (count <= kShortSum) return false;
  const Tensor times = zeros(Shape(view.outer, extent, view.inner), uint8);
  std::uint8_t* own = times.mutable_data<std::uint8_t>();
  const std::int64_t* at = index.data<std::int64_t>();
  std::atomic<bool> found = false;
  view.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < count && !found.load(std::memory_order_relaxed); ++i) {
      const std::int64_t row = (o * count + i) * view.inner;
      for (std::int64_t k = begin; k < end; ++k) {
        std::uint8_t& number = own[(o * extent + at[row + k]) * view.inner + k];
        if (++number > kShortSum) {
          found.store(true, std::memory_order_relaxed);
          break;
        }
      }
    }
  });
  return found;
}

Tensor ScatterAdd::forward(const Tensor& source) const {
  Tensor y = zeros(with_extent(source.shape(), axis, extent), source.dtype());
  if (source.num_elements() == 0) return y;
  const Tensor dense = kernel::contiguous(source);
  const AxisView view(source.shape(), axis);
  const std::int64_t count = source.shape()[axis];
  const std::int64_t* at = index.data<std::int64_t>();
  const bool is_long = has_long_sums(view, index, count, extent);
  const Tensor workspace = workspace_for(is_long ? y.num_elements() : 0, y.dtype());
  dispatch_float(source.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = y.mutable_data<T>();
    LongSum<T>* sums = long_sums<T>(workspace);
    view.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = (o * count + i) * view.inner;
        const auto place = [&](std::int64_t k) { return (o * extent + at[row + k]) * view.inner + k; };
        if (is_long) {
          for (std::int64_t k = begin; k < end; ++k) sums[place(k)].add(from[row + k]);
        } else {
          for (std::int64_t k = begin; k < end; ++k) to[place(k)] += from[row + k];
        }
      }
    });
    for (std::int64_t i = 0; is_long && i < y.num_elements(); ++i) to[i] = sums[i].value();
  });
  return y;
}

Grads<1> ScatterAdd::vjp(const Tensor& g, const Saved&, NeedsGrad) const {
  return {apply(Gather{axis, index, extent}, g)};
}

int checked_axis(std::string_view op, const Tensor& x, int axis) {
  if (x.rank() == 0) {
    throw ShapeError(Message(op, "the tensor has no dimension to index.")
                         .expected("rank at least 1")
                         .got("rank 0")
                         .fix("reshape it to [1]"));
  }
  return normalize_axis(axis, x.rank(), op);
}

void check_extent(std::string_view op, std::string_view role, std::int64_t extent) {
  if (extent < 0) {
    throw ShapeError(Message(op, fmt::format("the {} is negative.", role))
                         .expected("{} >= 0", role)
                         .got("{}", extent)
                         .fix("pass the number of places that indices count"));
  }
}

void check_sum(std::string_view op, const Tensor& source, std::int64_t extent) {
  if (!is_floating(source.dtype())) detail::fail_not_floating(op, source.dtype());
  check_extent(op, "extent", extent);
}

void check_vector(std::string_view op, const Tensor& index) {
  if (index.rank() != 1) {
    throw ShapeError(Message(op, "the index tensor must be one list.")
                         .line("index {}", index.shape())
                         .expected("rank 1")
                         .got("rank {}", index.rank())
                         .fix("use gather or scatter_add for one index per element"));
  }
}

}  // namespace

Tensor index_select(const Tensor& x, int axis, const Tensor& index) {
  constexpr std::string_view op = IndexSelect::name;
  axis = checked_axis(op, x, axis);
  check_vector(op, index);
  const std::int64_t extent = x.shape()[axis];
  return apply(IndexSelect{axis, checked_index(op, index, extent), extent}, x);
}

Tensor index_add(const Tensor& source, int axis, const Tensor& index, std::int64_t extent) {
  constexpr std::string_view op = IndexAdd::name;
  axis = checked_axis(op, source, axis);
  check_vector(op, index);
  check_sum(op, source, extent);
  if (index.num_elements() != source.shape()[axis]) {
    throw ShapeError(Message(op, "there must be one index per slice of the source.")
                         .line("source {}, axis {}, index {}", source.shape(), axis, index.shape())
                         .expected("{} indices", source.shape()[axis])
                         .got("{}", index.num_elements())
                         .fix("give an index of rank 1, as long as the source along the axis"));
  }
  return apply(IndexAdd{axis, checked_index(op, index, extent), extent}, source);
}

Tensor gather(const Tensor& x, int axis, const Tensor& index) {
  constexpr std::string_view op = Gather::name;
  axis = checked_axis(op, x, axis);
  const std::int64_t extent = x.shape()[axis];
  if (index.rank() != x.rank() || with_extent(index.shape(), axis, extent) != x.shape()) {
    throw ShapeError(Message(op, "the index tensor does not fit.")
                         .line("x {}, axis {}, index {}", x.shape(), axis, index.shape())
                         .expected("equal extents in all dimensions but the axis")
                         .got("{}", index.shape())
                         .fix("expand the index tensor, or use index_select for whole slices"));
  }
  return apply(Gather{axis, checked_index(op, index, extent), extent}, x);
}

Tensor scatter_add(const Tensor& source, int axis, const Tensor& index, std::int64_t extent) {
  constexpr std::string_view op = ScatterAdd::name;
  axis = checked_axis(op, source, axis);
  check_sum(op, source, extent);
  if (index.shape() != source.shape()) {
    throw ShapeError(Message(op, "there must be one index per element of the source.")
                         .expected("index {}", source.shape())
                         .got("{}", index.shape())
                         .fix("expand the index to the shape of the source"));
  }
  return apply(ScatterAdd{axis, checked_index(op, index, extent), extent}, source);
}

Tensor one_hot(const Tensor& index, std::int64_t depth, DType dtype) {
  check_extent("one_hot", "depth", depth);
  const Tensor checked = checked_index("one_hot", index, depth);
  Shape shape = index.shape();
  shape.push_back(depth);
  Tensor y = zeros(shape, dtype);
  const std::int64_t* at = checked.data<std::int64_t>();
  const std::int64_t count = checked.num_elements();
  dispatch_all(dtype, [&]<class T>() {
    T* to = y.mutable_data<T>();
    for (std::int64_t i = 0; i < count; ++i) to[i * depth + at[i]] = T(1);
  });
  return y;
}

}  // namespace dygrad
