// How a reduction walks its tensor: dimensions split into kept and reduced ones, sorted and merged.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

// Note [Loop order of reductions]
// Dimensions are split into kept and reduced ones, each sorted by decreasing stride and merged. What remains is
//
//   kept dimensions  x  columns  <-  outer reduced dimensions  x  a run of rows
//
// where `columns` is the innermost kept dimension if every reduced one has a larger stride (channels of a channels-last
// image), else a single column. A block is a span of one run; blocks are combined pairwise, neighbours first, and so
// are the rows of a block: see Note [Pairwise reduction]. Where a row is narrow and rows follow each other densely
// (three channels), several rows are taken as one wide row, folded in the end, so that additions fill vectors.
// Blocks are grouped into chunks, the unit of parallel work. Block and chunk sizes depend on the problem alone, hence
// so does every rounding.

inline constexpr std::int64_t kShortRun = 16;  // rows; shorter runs are reduced column by column, whatever the strides

struct ReductionDim {
  std::int64_t extent;
  std::int64_t stride;      // in x, elements
  std::int64_t out_stride;  // in the result, elements; 0 for reduced dimensions
};

class ReductionDims {
 public:
  /// Keeps the list sorted by decreasing stride; repeated elements (stride 0) come first.
  void insert(const ReductionDim& dim) {
    int place = size_++;
    for (; place > 0 && abs_stride(at(place - 1)) < abs_stride(dim); --place) at(place) = at(place - 1);
    at(place) = dim;
  }
  void merge() {
    int kept = 0;
    for (int i = 1; i < size_; ++i) {
      ReductionDim& outer = at(kept);
      const ReductionDim inner = at(i);
      if (outer.stride == inner.stride * inner.extent && outer.out_stride == inner.out_stride * inner.extent) {
        outer = {outer.extent * inner.extent, inner.stride, inner.out_stride};
      } else {
        at(++kept) = inner;
      }
    }
    size_ = std::min(size_, kept + 1);
  }
  ReductionDim pop_innermost() { return at(--size_); }
  const ReductionDim& innermost() const { return dims_[static_cast<std::size_t>(size_ - 1)]; }
  bool empty() const { return size_ == 0; }
  std::int64_t count() const {
    std::int64_t product = 1;
    for (int i = 0; i < size_; ++i) product *= dims_[static_cast<std::size_t>(i)].extent;
    return product;
  }
  struct Offsets {
    std::int64_t in = 0, out = 0;
  };
  Offsets locate(std::int64_t index) const {
    Offsets offsets;
    for (int i = size_ - 1; i >= 0; --i) {
      const ReductionDim& dim = dims_[static_cast<std::size_t>(i)];
      const std::int64_t k = i == 0 ? index : index % dim.extent;
      index /= dim.extent;
      offsets.in += k * dim.stride;
      offsets.out += k * dim.out_stride;
    }
    return offsets;
  }
  static std::int64_t abs_stride(const ReductionDim& dim) {
    return dim.stride == 0 ? std::numeric_limits<std::int64_t>::max() : std::abs(dim.stride);
  }

 private:
  ReductionDim& at(int i) { return dims_[static_cast<std::size_t>(i)]; }
  std::array<ReductionDim, kMaxRank> dims_{};
  int size_ = 0;
};

/// See Note [Loop order of reductions].
struct ReductionPlan {
  ReductionDims kept, outer;
  ReductionDim columns{1, 1, 1};
  ReductionDim run{1, 0, 0};

  ReductionPlan(const Tensor& x, const Axes& axes, const Tensor& result) {
    for (int i = 0; i < x.rank(); ++i) {
      if (x.shape()[i] == 1) continue;
      const bool reduced = axes.contains(i);
      (reduced ? outer : kept).insert({x.shape()[i], x.strides()[i], reduced ? 0 : result.strides()[i]});
    }
    kept.merge();
    outer.merge();
    if (!outer.empty()) run = outer.pop_innermost();
    if (kept.empty()) return;
    const bool dense_columns =
        ReductionDims::abs_stride(kept.innermost()) < ReductionDims::abs_stride(run) || run.stride == 0;
    if (dense_columns || (run.extent < kShortRun && kept.innermost().extent >= kShortRun))
      columns = kept.pop_innermost();
  }
};

}  // namespace dygrad::kernel
