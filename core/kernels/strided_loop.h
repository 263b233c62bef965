// One loop nest over several tensors of equal shape and any strides: the order in which elementwise kernels and
// kernels of whole lines (softmax) walk memory.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

/// Dimensions of all operands, ordered by decreasing stride of operand 0 and merged where every operand
/// allows it. Dense operands of equal order become a single dimension.
class DYGRAD_API StridedLoop {
 public:
  static constexpr int kMaxOperands = 4;
  using Offsets = std::array<std::int64_t, kMaxOperands>;  // in elements, one per operand

  /// All tensors must have the shape of the first.
  explicit StridedLoop(std::span<const Tensor* const> operands);
  StridedLoop(std::initializer_list<const Tensor*> operands)
      : StridedLoop(std::span(operands.begin(), operands.size())) {}

  std::int64_t num_elements() const { return num_elements_; }
  /// True if all operands are dense in one and the same order.
  bool is_dense() const { return is_dense_; }
  /// Dimensions after merging, at least 1.
  int rank() const { return rank_; }
  std::int64_t extent(int dim) const { return extent_[static_cast<std::size_t>(dim)]; }
  /// Step of operand k along a dimension, in elements.
  std::int64_t stride(int dim, int k) const {
    return stride_[static_cast<std::size_t>(dim)][static_cast<std::size_t>(k)];
  }
  /// Where the operands' elements are for the index-th place in the first `dims` dimensions.
  Offsets locate(std::int64_t index, int dims) const;
  /// Step of operand k along the innermost dimension, in elements.
  std::int64_t inner_stride(int k) const { return stride(rank_ - 1, k); }

  /// Calls body(offsets, n) for runs of n neighbours along the innermost dimension, on several threads for large
  /// tensors. Offsets count from each tensor's first element.
  template <class Body>
  void run(const Body& body, std::int64_t grain = kElementwiseGrain) const {
    run_erased(
        [](const void* erased, const Offsets& at, std::int64_t n) { (*static_cast<const Body*>(erased))(at, n); },
        &body, grain);
  }

 private:
  using Index = std::array<std::int64_t, kMaxRank>;
  using ErasedBody = void (*)(const void* body, const Offsets& at, std::int64_t n);

  // One walk for all bodies: there are hundreds, and their code would dwarf the arithmetic in them.
  void run_erased(ErasedBody call, const void* body, std::int64_t grain) const;
  Offsets seek(std::int64_t index, int dims, Index& at_index) const;
  void advance(Index& index, Offsets& at) const;

  int operands_;
  int rank_ = 1;
  bool is_dense_ = false;
  std::int64_t num_elements_;
  std::array<std::int64_t, kMaxRank> extent_{};
  std::array<Offsets, kMaxRank> stride_{};
};

}  // namespace dygrad::kernel
