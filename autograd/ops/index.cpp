#include <algorithm>
#include <cstring>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/index.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/core/parallel.h>
#include <dygrad/core/strided_loop.h>

namespace dygrad {

namespace {

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
  Tensor result = raw::clone(index, MemoryFormat::row_major);
  for (std::int64_t& i : result.write<std::int64_t>()) {
    if (i < -extent || i >= extent) {
      throw ShapeError(Message(op, "an index is out of range.")
                           .line("index {}", index.shape())
                           .expected("{} <= index < {}", -extent, extent)
                           .got("{}", i));
    }
    if (i < 0) i += extent;
  }
  return result;
}

Shape with_extent(Shape shape, int axis, std::int64_t extent) {
  shape[axis] = extent;
  return shape;
}

/// A dense tensor seen along one axis: [outer, extent, inner].
struct Lanes {
  std::int64_t outer = 1;
  std::int64_t inner = 1;
  Lanes(const Shape& shape, int axis) {
    for (int d = 0; d < axis; ++d) outer *= shape[d];
    for (int d = axis + 1; d < shape.rank(); ++d) inner *= shape[d];
  }
  /// Calls f(o, begin, end) for every outer index o and ranges [begin, end) of inner ones. Ranges do not overlap, so
  /// threads may add into one tensor, each along its own lanes, in the order of the axis.
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
    return std::max<std::int64_t>(raw::kElementwiseGrain / std::max<std::int64_t>(elements_each, 1), 1);
  }
};

// index_select and index_add are each other's adjoint, and so each other's vjp; likewise gather and scatter_add.
struct IndexAdd {
  static constexpr std::string_view name = "index_add";
  int axis;
  Tensor index;
  std::int64_t extent;
  Tensor forward(const Tensor& source) const;
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const;
};

struct IndexSelect {
  static constexpr std::string_view name = "index_select";
  int axis;
  Tensor index;
  std::int64_t extent;  // of x along axis

  Tensor forward(const Tensor& x) const {
    const Tensor dense = raw::contiguous(x);
    const std::int64_t count = index.num_elements();
    Tensor y = Tensor::empty(with_extent(x.shape(), axis, count), x.dtype());
    const Lanes lanes(x.shape(), axis);
    const std::int64_t* at = index.data<std::int64_t>();
    dispatch_all(x.dtype(), [&]<class T>() {
      const T* from = dense.data<T>();
      T* to = y.mutable_data<T>();
      const std::size_t row_bytes = static_cast<std::size_t>(lanes.inner) * sizeof(T);
      parallel_for(lanes.outer * count, Lanes::grain_for(lanes.inner), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t source_row = row / count * extent + at[row % count];
          if (row_bytes > 0) std::memcpy(to + row * lanes.inner, from + source_row * lanes.inner, row_bytes);
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const { return {apply(IndexAdd{axis, index, extent}, g)}; }
};

Tensor IndexAdd::forward(const Tensor& source) const {
  const Tensor dense = raw::contiguous(source);
  const std::int64_t count = index.num_elements();
  Tensor y = zeros(with_extent(source.shape(), axis, extent), source.dtype());
  const Lanes lanes(source.shape(), axis);
  const std::int64_t* at = index.data<std::int64_t>();
  dispatch_float(source.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = y.mutable_data<T>();
    lanes.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = 0; i < count; ++i) {
        const T* from_row = from + (o * count + i) * lanes.inner;
        T* to_row = to + (o * extent + at[i]) * lanes.inner;
        for (std::int64_t k = begin; k < end; ++k) to_row[k] += from_row[k];
      }
    });
  });
  return y;
}

Grads<1> IndexAdd::vjp(const Tensor& g, const Saved&, Need) const {
  return {apply(IndexSelect{axis, index, extent}, g)};
}

struct ScatterAdd {
  static constexpr std::string_view name = "scatter_add";
  int axis;
  Tensor index;
  std::int64_t extent;
  Tensor forward(const Tensor& source) const;
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const;
};

struct Gather {
  static constexpr std::string_view name = "gather";
  int axis;
  Tensor index;
  std::int64_t extent;

  Tensor forward(const Tensor& x) const {
    const Tensor dense = raw::contiguous(x);
    Tensor y = Tensor::empty(index.shape(), x.dtype());
    const Lanes lanes(index.shape(), axis);
    const std::int64_t count = index.shape()[axis];
    const std::int64_t* at = index.data<std::int64_t>();
    dispatch_all(x.dtype(), [&]<class T>() {
      const T* from = dense.data<T>();
      T* to = y.mutable_data<T>();
      lanes.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = 0; i < count; ++i) {
          const std::int64_t row = (o * count + i) * lanes.inner;
          for (std::int64_t k = begin; k < end; ++k) to[row + k] = from[(o * extent + at[row + k]) * lanes.inner + k];
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const { return {apply(ScatterAdd{axis, index, extent}, g)}; }
};

Tensor ScatterAdd::forward(const Tensor& source) const {
  const Tensor dense = raw::contiguous(source);
  Tensor y = zeros(with_extent(source.shape(), axis, extent), source.dtype());
  const Lanes lanes(source.shape(), axis);
  const std::int64_t count = source.shape()[axis];
  const std::int64_t* at = index.data<std::int64_t>();
  dispatch_float(source.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = y.mutable_data<T>();
    lanes.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t row = (o * count + i) * lanes.inner;
        for (std::int64_t k = begin; k < end; ++k) to[(o * extent + at[row + k]) * lanes.inner + k] += from[row + k];
      }
    });
  });
  return y;
}

Grads<1> ScatterAdd::vjp(const Tensor& g, const Saved&, Need) const { return {apply(Gather{axis, index, extent}, g)}; }

int checked_axis(std::string_view op, const Tensor& x, int axis) {
  if (x.rank() == 0) {
    throw ShapeError(Message(op, "the tensor has no dimension to index.")
                         .expected("rank at least 1")
                         .got("rank 0")
                         .fix("reshape it to [1]"));
  }
  return normalize_axis(axis, x.rank(), op);
}

void check_extent(std::string_view op, std::int64_t extent) {
  if (extent < 0) throw ShapeError(Message(op, "the extent is negative.").expected("extent >= 0").got("{}", extent));
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
  check_extent(op, extent);
  if (index.num_elements() != source.shape()[axis]) {
    throw ShapeError(Message(op, "there must be one index per slice of the source.")
                         .line("source {}, axis {}, index {}", source.shape(), axis, index.shape())
                         .expected("{} indices", source.shape()[axis])
                         .got("{}", index.num_elements()));
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
  check_extent(op, extent);
  if (index.shape() != source.shape()) {
    throw ShapeError(Message(op, "there must be one index per element of the source.")
                         .expected("index {}", source.shape())
                         .got("{}", index.shape()));
  }
  return apply(ScatterAdd{axis, checked_index(op, index, extent), extent}, source);
}

Tensor one_hot(const Tensor& index, std::int64_t depth, DType dtype) {
  check_extent("one_hot", depth);
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
