// One loop nest over several tensors of equal shape and any strides: the engine of copies and elementwise kernels.
// For the library's own .cpp files.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include <dygrad/core/parallel.h>
#include <dygrad/core/tensor.h>

// Tells the vectoriser that iterations do not depend on each other, although output and input may be the same memory.
#if defined(__clang__)
#define DYGRAD_IVDEP _Pragma("clang loop vectorize(assume_safety)")
#else
#define DYGRAD_IVDEP _Pragma("GCC ivdep")
#endif

namespace dygrad::raw {

inline constexpr std::int64_t kElementwiseGrain = 32768;  // elements; fewer are not worth a second thread

/// Dimensions of all operands, ordered so that operand 0 is walked from sparse to dense and merged where every operand
/// allows it. Dense operands of equal order become a single dimension.
class DYGRAD_API StridedLoop {
 public:
  static constexpr int kMaxOperands = 4;
  using Offsets = std::array<std::int64_t, kMaxOperands>;  // in elements, one per operand

  /// All tensors must have the shape of the first.
  StridedLoop(std::initializer_list<const Tensor*> operands);

  std::int64_t num_elements() const { return num_elements_; }
  /// Step of operand k along the innermost dimension, in elements.
  std::int64_t inner_stride(int k) const {
    return stride_[static_cast<std::size_t>(rank_ - 1)][static_cast<std::size_t>(k)];
  }

  /// Calls body(offsets, n) for runs of n neighbours along the innermost dimension, on several threads for large
  /// tensors. Offsets count from each tensor's first element.
  template <class Body>
  void run(const Body& body, std::int64_t grain = kElementwiseGrain) const {
    if (num_elements_ == 0) return;
    const std::int64_t inner = extent_[static_cast<std::size_t>(rank_ - 1)];
    if (rank_ == 1) {
      parallel_for(inner, grain, [&](std::int64_t begin, std::int64_t end) {
        Offsets at{};
        for (int k = 0; k < operands_; ++k) at[static_cast<std::size_t>(k)] = begin * inner_stride(k);
        body(at, end - begin);
      });
      return;
    }
    const std::int64_t outer = num_elements_ / inner;
    parallel_for(outer, std::max<std::int64_t>(grain / inner, 1), [&](std::int64_t begin, std::int64_t end) {
      Index index{};
      Offsets at = seek(begin, index);
      for (std::int64_t i = begin; i < end; ++i) {
        body(at, inner);
        advance(index, at);
      }
    });
  }

 private:
  using Index = std::array<std::int64_t, kMaxRank>;
  Offsets seek(std::int64_t outer_index, Index& index) const;
  void advance(Index& index, Offsets& at) const {
    for (int d = rank_ - 2; d >= 0; --d) {
      const auto dim = static_cast<std::size_t>(d);
      for (int k = 0; k < operands_; ++k) at[static_cast<std::size_t>(k)] += stride_[dim][static_cast<std::size_t>(k)];
      if (++index[dim] < extent_[dim]) return;
      for (int k = 0; k < operands_; ++k)
        at[static_cast<std::size_t>(k)] -= extent_[dim] * stride_[dim][static_cast<std::size_t>(k)];
      index[dim] = 0;
    }
  }

  int operands_;
  int rank_ = 1;
  std::int64_t num_elements_;
  std::array<std::int64_t, kMaxRank> extent_{};
  std::array<Offsets, kMaxRank> stride_{};
};

}  // namespace dygrad::raw
