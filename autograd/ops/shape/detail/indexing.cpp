#include <dygrad/autograd/ops/shape/detail/indexing.h>

#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

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
                             std::int64_t first, std::int64_t extent) {
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
                       .expected("{} <= index < {}", first, extent)
                       .got("{}", value)
                       .fix("{}", first == 0 ? "count from 0" : "count from 0, or from -1 for the last one"));
}

}  // namespace

namespace detail {

Tensor checked_index(std::string_view op, const Tensor& index, std::int64_t extent, CountFrom from) {
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
    const std::int64_t first = from == CountFrom::start ? 0 : -extent;
    if (i < first || i >= extent) fail_index(op, index, &i - values.data(), i, first, extent);
    if (i < 0) i += extent;
  }
  return result;
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
    throw ShapeError(Message(op, "the {} is negative.", role)
                         .expected("{} >= 0", role)
                         .got("{}", extent)
                         .fix("pass the number of places that indices count"));
  }
}

void check_sum(std::string_view op, const Tensor& source, std::int64_t extent) {
  if (!is_floating(source.dtype())) fail_not_floating(op, source.dtype());
  check_extent(op, "extent", extent);
}

IndexedSource::IndexedSource(const Tensor& x, int axis, const Tensor& indices) {
  const bool repeats = x.shape()[axis] > 1 && x.strides()[axis] == 0;
  dense = kernel::contiguous(repeats ? view::slice(x, axis, 0, 1) : x);
  index = repeats ? zeros(indices.shape(), int64) : indices;
  extent = dense.shape()[axis];
}

Tensor workspace_for(std::int64_t sums, DType dtype) {
  constexpr auto kDoubles = static_cast<std::int64_t>(sizeof(kernel::AccurateSum<double>) / sizeof(double));
  return zeros(Shape(sums, dtype == DType::float32 ? 1 : kDoubles), float64);
}

}  // namespace detail

}  // namespace dygrad
