// One index for a whole slice: index_select, index_add, one_hot.
#include <cstring>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/detail/indexing.h>
#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

using detail::accurate_sums;
using detail::AxisView;
using detail::check_defined;
using detail::check_extent;
using detail::check_sum;
using detail::checked_axis;
using detail::checked_index;
using detail::IndexedSource;
using detail::with_extent;
using detail::workspace_for;
using kernel::AccurateSum;
using kernel::kMaxPlainTerms;

// Each is the other's adjoint, and so its vjp.
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

/// Numbers the indices that occur more than kMaxPlainTerms times, from 0; -1 for the others.
struct LongRows {
  Tensor row_of;  // int64, per index; undefined if there are none
  std::int64_t count = 0;

  LongRows(const Tensor& index, std::int64_t extent) {
    if (index.num_elements() <= kMaxPlainTerms) return;
    row_of = zeros(Shape(extent), int64);
    std::int64_t* times = row_of.mutable_data<std::int64_t>();
    for (const std::int64_t i : index.read<std::int64_t>()) ++times[i];
    for (std::int64_t i = 0; i < extent; ++i) times[i] = times[i] > kMaxPlainTerms ? count++ : -1;
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
    AccurateSum<T>* sums = accurate_sums<T>(workspace);
    view.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
      const auto long_row = [&](std::int64_t i) { return sums + (o * rows.count + row_of[i]) * view.inner; };
      for (std::int64_t i = 0; i < count; ++i) {
        const T* from_row = from + (o * count + i) * view.inner;
        if (row_of && row_of[at[i]] >= 0) {
          AccurateSum<T>* to_row = long_row(at[i]);
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
  check_defined(op, "x", x);
  check_defined(op, "index", index);
  axis = checked_axis(op, x, axis);
  check_vector(op, index);
  const std::int64_t extent = x.shape()[axis];
  return apply(IndexSelect{axis, checked_index(op, index, extent), extent}, x);
}

Tensor index_add(const Tensor& source, int axis, const Tensor& index, std::int64_t extent) {
  constexpr std::string_view op = IndexAdd::name;
  check_defined(op, "source", source);
  check_defined(op, "index", index);
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

Tensor one_hot(const Tensor& index, std::int64_t depth, DType dtype) {
  detail::check_defined("one_hot", "index", index);
  check_extent("one_hot", "depth", depth);
  const Tensor checked = checked_index("one_hot", index, depth, detail::CountFrom::start);
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
