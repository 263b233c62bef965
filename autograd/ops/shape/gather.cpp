// One index for each element: gather, scatter_add.
#include <atomic>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/detail/indexing.h>
#include <dygrad/autograd/ops/shape/index.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

using detail::accurate_sums;
using detail::AxisView;
using detail::check_defined;
using detail::check_sum;
using detail::checked_axis;
using detail::checked_index;
using detail::IndexedSource;
using detail::with_extent;
using detail::workspace_for;
using kernel::AccurateSum;
using kernel::kMaxPlainTerms;

// Each is the other's adjoint, and so its vjp.
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

/// True if more than kMaxPlainTerms elements go to one place.
bool needs_accurate_sums(const AxisView& view, const Tensor& index, std::int64_t count, std::int64_t extent) {
  if (count <= kMaxPlainTerms) return false;
  const Tensor times = zeros(Shape(view.outer, extent, view.inner), uint8);
  std::uint8_t* own = times.mutable_data<std::uint8_t>();
  const std::int64_t* at = index.data<std::int64_t>();
  std::atomic<bool> found = false;
  view.for_each(count, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < count && !found.load(std::memory_order_relaxed); ++i) {
      const std::int64_t row = (o * count + i) * view.inner;
      for (std::int64_t k = begin; k < end; ++k) {
        std::uint8_t& number = own[(o * extent + at[row + k]) * view.inner + k];
        if (++number > kMaxPlainTerms) {
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
  const bool is_long = needs_accurate_sums(view, index, count, extent);
  const Tensor workspace = workspace_for(is_long ? y.num_elements() : 0, y.dtype());
  dispatch_float(source.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = y.mutable_data<T>();
    AccurateSum<T>* sums = accurate_sums<T>(workspace);
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

}  // namespace

Tensor gather(const Tensor& x, int axis, const Tensor& index) {
  constexpr std::string_view op = Gather::name;
  check_defined(op, "x", x);
  check_defined(op, "index", index);
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
  check_defined(op, "source", source);
  check_defined(op, "index", index);
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

}  // namespace dygrad
