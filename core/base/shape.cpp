#include <dygrad/core/base/shape.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <ostream>
#include <utility>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {
[[noreturn]] void fail_rank(std::size_t rank) {
  throw ShapeError(Message("shape", "too many dimensions.")
                       .expected("rank at most {}", kMaxRank)
                       .got("{}", rank)
                       .fix("merge neighbouring dimensions with reshape"));
}
}  // namespace

void detail::fail_large_extent(std::uint64_t value) {
  throw ShapeError(Message("shape", "the number is too large.")
                       .expected("at most {}", INT64_MAX)
                       .got("{}", value)
                       .fix("give numbers that a signed 64-bit integer holds"));
}

Dims::Dims(std::span<const std::int64_t> values) {
  if (values.size() > kMaxRank) fail_rank(values.size());
  std::copy(values.begin(), values.end(), values_.begin());
  rank_ = static_cast<int>(values.size());
}

Dims::Dims(const std::vector<std::int64_t>& values) : Dims(std::span<const std::int64_t>(values)) {}

Dims Dims::filled(int rank, std::int64_t value) {
  if (rank > kMaxRank) fail_rank(static_cast<std::size_t>(rank));
  Dims dims;
  dims.rank_ = rank;
  std::fill(dims.begin(), dims.end(), value);
  return dims;
}

void Dims::push_back(std::int64_t value) { insert(rank_, value); }

void Dims::insert(int position, std::int64_t value) {
  if (rank_ == kMaxRank) fail_rank(kMaxRank + 1);
  std::copy_backward(begin() + position, end(), end() + 1);
  values_[static_cast<std::size_t>(position)] = value;
  ++rank_;
}

void Dims::erase(int position) {
  std::copy(begin() + position + 1, end(), begin() + position);
  --rank_;
}

bool Dims::contains(std::int64_t value) const { return std::find(begin(), end(), value) != end(); }

std::int64_t num_elements(const Shape& shape, std::string_view op) {
  // An extent of zero makes the product zero, but the others still have to be valid.
  std::int64_t product = 1;
  bool empty = false;
  for (std::int64_t extent : shape) {
    if (extent < 0) {
      throw ShapeError(Message(op, "negative extent.")
                           .line("shape {}", shape)
                           .expected("extents >= 0")
                           .got("{}", extent)
                           .fix("give extents of 0 or more; only reshape infers a -1"));
    }
    if (extent == 0) empty = true;
    else if (__builtin_mul_overflow(product, extent, &product)) {
      throw ShapeError(Message(op, "the number of elements does not fit into 64 bits.")
                           .line("shape {}", shape)
                           .fix("use smaller extents"));
    }
  }
  return empty ? 0 : product;
}

std::int64_t num_bytes(const Shape& shape, std::size_t element_size, std::string_view op) {
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(num_elements(shape, op), static_cast<std::int64_t>(element_size), &bytes)) {
    throw ShapeError(Message(op, "the number of bytes does not fit into 64 bits.")
                         .line("shape {} of {}-byte elements", shape, element_size)
                         .fix("use smaller extents"));
  }
  return bytes;
}

int normalize_axis(std::int64_t axis, int rank, std::string_view op) {
  const std::int64_t limit = std::max(rank, 1);
  if (axis < -limit || axis >= limit) {
    throw ShapeError(Message(op, "axis out of range.")
                         .expected("an axis in [{}, {}) for a tensor of rank {}", -limit, limit, rank)
                         .got("{}", axis)
                         .fix("count axes from 0, or from -1 for the last one"));
  }
  return static_cast<int>(axis < 0 ? axis + limit : axis);
}

Axes normalize_axes(const Axes& axes, int rank, std::string_view op) {
  std::array<bool, kMaxRank> chosen{};
  for (std::int64_t axis : axes) {
    const int normal = normalize_axis(axis, rank, op);
    if (std::exchange(chosen[static_cast<std::size_t>(normal)], true)) {
      throw ShapeError(Message(op, "an axis is given twice.")
                           .expected("distinct axes")
                           .got("{}", axes)
                           .fix("name each axis once; -1 is the last one"));
    }
  }
  Axes result;
  for (int i = 0; i < rank; ++i) {
    if (axes.empty() || chosen[static_cast<std::size_t>(i)]) result.push_back(i);
  }
  return result;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op) {
  Shape result = Shape::filled(std::max(a.rank(), b.rank()), 1);
  for (int back = 1; back <= result.rank(); ++back) {
    const std::int64_t m = back <= a.rank() ? a[a.rank() - back] : 1;
    const std::int64_t n = back <= b.rank() ? b[b.rank() - back] : 1;
    if (m != n && m != 1 && n != 1) {
      throw ShapeError(Message(op, "shapes do not broadcast.")
                           .line("a {}, b {}", a, b)
                           .expected("equal extents, or 1, at dimension {} from the back", back)
                           .got("{} and {}", m, n)
                           .fix("reshape one operand so that each extent matches or is 1"));
    }
    result[result.rank() - back] = m == 1 ? n : m;
  }
  return result;
}

bool is_expandable(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank()) return false;
  for (int back = 1; back <= from.rank(); ++back) {
    const std::int64_t extent = from[from.rank() - back];
    if (extent != 1 && extent != to[to.rank() - back]) return false;
  }
  return true;
}

namespace {
constexpr int kInnerToOuter[] = {1, 3, 2, 0};  // of channels-last: C, W, H, N
}

namespace {
[[noreturn]] void fail_unknown_format(MemoryFormat format) {
  throw InvalidArgument(Message("memory format", "a value outside of the list.")
                            .expected("row_major or channels_last")
                            .got("{}", static_cast<int>(format))
                            .fix("use a constant such as MemoryFormat::channels_last"));
}
}  // namespace

DenseLayout dense_layout(const Shape& shape, MemoryFormat format) {
  if (format > MemoryFormat::channels_last) [[unlikely]]
    fail_unknown_format(format);
  const bool channels_last = format == MemoryFormat::channels_last && shape.rank() == 4;
  DenseLayout layout{.strides = shape, .num_elements = 1};
  std::int64_t stride = 1;
  bool valid = true;
  for (int i = 0; i < shape.rank(); ++i) {  // from the innermost dimension outwards
    const int dim = channels_last ? kInnerToOuter[i] : shape.rank() - 1 - i;
    const std::int64_t extent = shape[dim];
    layout.strides[dim] = stride;
    layout.num_elements *= extent == 0 ? 0 : 1;
    valid = valid && extent >= 0 && !__builtin_mul_overflow(stride, extent == 0 ? 1 : extent, &stride);
  }
  layout.num_elements = valid ? layout.num_elements * stride : num_elements(shape);  // which says what is wrong
  return layout;
}

Strides dense_strides(const Shape& shape, MemoryFormat format) { return dense_layout(shape, format).strides; }

bool is_dense(const Shape& shape, const Strides& strides, MemoryFormat format) {
  const bool channels_last = format == MemoryFormat::channels_last && shape.rank() == 4;
  std::int64_t wanted = 1;
  bool fits = true;
  for (int i = 0; i < shape.rank(); ++i) {  // from the innermost dimension outwards
    const int dim = channels_last ? kInnerToOuter[i] : shape.rank() - 1 - i;
    if (shape[dim] == 0) return true;
    if (shape[dim] == 1) continue;
    fits = fits && strides[dim] == wanted;
    wanted *= shape[dim];
  }
  return fits;
}

std::string to_string(const Dims& dims) {
  return detail::with_out_of_memory("to_string", [&] { return fmt::format("[{}]", fmt::join(dims, ", ")); });
}
std::ostream& operator<<(std::ostream& out, const Dims& dims) { return out << to_string(dims); }

}  // namespace dygrad
