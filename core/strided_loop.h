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
    run_erased(
        [](const void* erased, const Offsets& at, std::int64_t n) { (*static_cast<const Body*>(erased))(at, n); },
        &body, grain);
  }

 private:
  using Index = std::array<std::int64_t, kMaxRank>;
  using ErasedBody = void (*)(const void* body, const Offsets& at, std::int64_t n);

  // One walk for all bodies: there are hundreds, and their code would dwarf the arithmetic in them.
  void run_erased(ErasedBody call, const void* body, std::int64_t grain) const;
  Offsets seek(std::int64_t outer_index, Index& index) const;
  void advance(Index& index, Offsets& at) const;

  int operands_;
  int rank_ = 1;
  std::int64_t num_elements_;
  std::array<std::int64_t, kMaxRank> extent_{};
  std::array<Offsets, kMaxRank> stride_{};
};

}  // namespace dygrad::raw
