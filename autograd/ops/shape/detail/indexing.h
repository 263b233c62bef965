// What indexing along an axis needs: valid indices, a tensor seen along its axis, and sums over equal indices.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/simd/accurate_sum.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

enum class CountFrom : std::uint8_t { start, either_end };

/// A dense copy of `index` with its negative entries counted from the front; ops own it, so that later changes of the
/// caller's tensor do not reach a recorded graph. Throws unless all entries are inside [-extent, extent).
Tensor checked_index(std::string_view op, const Tensor& index, std::int64_t extent,
                     CountFrom from = CountFrom::either_end);
/// The axis, counted from the front. Throws ShapeError for a tensor of rank 0 or an axis out of range.
int checked_axis(std::string_view op, const Tensor& x, int axis);
/// Throws ShapeError if the extent, which `role` names, is negative.
void check_extent(std::string_view op, std::string_view role, std::int64_t extent);
/// Throws unless sums of the source's elements over `extent` indices make sense.
void check_sum(std::string_view op, const Tensor& source, std::int64_t extent);

inline Shape with_extent(Shape shape, int axis, std::int64_t extent) {
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
  IndexedSource(const Tensor& x, int axis, const Tensor& indices);
};

// Note [Sums over equal indices]
// Up to kMaxPlainTerms terms are added where the result is. Places that get more are summed as AccurateSums, which take
// memory of their own: index_add has a row of them for each such index, scatter_add one for each element of the result.
template <class T>
kernel::AccurateSum<T>* accurate_sums(const Tensor& workspace) {
  return reinterpret_cast<kernel::AccurateSum<T>*>(workspace.mutable_data<double>());
}
/// Zeros for so many of them.
Tensor workspace_for(std::int64_t sums, DType dtype);

}  // namespace dygrad::detail
