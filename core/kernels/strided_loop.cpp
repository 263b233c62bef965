#include <dygrad/core/kernels/strided_loop.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/tensor/detail/layout.h>

namespace dygrad::kernel {

namespace {
bool all_dense_alike(std::span<const Tensor* const> operands) {
  const Tensor& first = *operands.front();
  for (const Tensor* operand : operands) {
    if (!is_same_layout(first.shape(), operand->strides(), first.strides())) return false;
  }
  return first.memory_format().has_value();
}

[[noreturn]] void fail_shapes(const Tensor& first, const Tensor& other) {
  throw ShapeError(Message("elementwise", "the operands have different shapes.")
                       .expected("{}, as the first", first.shape())
                       .got("{}", other.shape())
                       .fix("expand them to one shape first"));
}
}  // namespace

StridedLoop::StridedLoop(std::span<const Tensor* const> operands)
    : operands_(static_cast<int>(operands.size())), num_elements_(operands.front()->num_elements()) {
  assert(operands_ <= kMaxOperands);
  const Tensor& first = *operands.front();
  for (const Tensor* operand : operands) {
    if (operand->shape() != first.shape()) fail_shapes(first, *operand);
  }
  extent_[0] = num_elements_;
  if (num_elements_ == 0) return;
  if (num_elements_ == 1 || all_dense_alike(operands)) {
    stride_[0].fill(1);
    is_dense_ = true;
    return;
  }

  // Order dimensions by operand 0's strides, decreasing; insertion sort keeps the logical order among equals.
  std::array<int, kMaxRank> order{};
  int rank = 0;
  const auto stride = [&](int dim) { return std::abs(first.strides()[dim]); };
  for (int dim = 0; dim < first.rank(); ++dim) {
    if (first.shape()[dim] == 1) continue;
    int place = rank++;
    for (; place > 0 && stride(order[static_cast<std::size_t>(place - 1)]) < stride(dim); --place) {
      order[static_cast<std::size_t>(place)] = order[static_cast<std::size_t>(place - 1)];
    }
    order[static_cast<std::size_t>(place)] = dim;
  }

  // Merge a dimension into the inner one before it whenever every operand steps through both evenly.
  rank_ = 0;
  for (int i = 0; i < rank; ++i) {
    const int dim = order[static_cast<std::size_t>(i)];
    const std::int64_t extent = first.shape()[dim];
    Offsets strides{};
    int k = 0;
    for (const Tensor* operand : operands) {
      strides[static_cast<std::size_t>(k++)] = operand->strides()[dim];
    }
    bool merges = rank_ > 0;
    for (k = 0; merges && k < operands_; ++k) {
      const auto operand = static_cast<std::size_t>(k);
      merges = stride_[static_cast<std::size_t>(rank_ - 1)][operand] == strides[operand] * extent;
    }
    if (merges) {
      extent_[static_cast<std::size_t>(rank_ - 1)] *= extent;
      stride_[static_cast<std::size_t>(rank_ - 1)] = strides;
    } else {
      extent_[static_cast<std::size_t>(rank_)] = extent;
      stride_[static_cast<std::size_t>(rank_++)] = strides;
    }
  }
}

void StridedLoop::run_erased(ErasedBody call, const void* body, std::int64_t grain) const {
  if (num_elements_ == 0) return;
  const std::int64_t inner = extent_[static_cast<std::size_t>(rank_ - 1)];
  if (rank_ == 1) {
    parallel_for(inner, grain, [&](std::int64_t begin, std::int64_t end) {
      Offsets at{};
      for (int k = 0; k < operands_; ++k) at[static_cast<std::size_t>(k)] = begin * inner_stride(k);
      call(body, at, end - begin);
    });
    return;
  }
  const std::int64_t outer = num_elements_ / inner;
  parallel_for(outer, std::max<std::int64_t>(grain / inner, 1), [&](std::int64_t begin, std::int64_t end) {
    Index index{};
    Offsets at = seek(begin, rank_ - 1, index);
    for (std::int64_t i = begin; i < end; ++i) {
      call(body, at, inner);
      advance(index, at);
    }
  });
}

StridedLoop::Offsets StridedLoop::seek(std::int64_t index, int dims, Index& at_index) const {
  Offsets at{};
  for (int d = dims - 1; d >= 0; --d) {
    const auto dim = static_cast<std::size_t>(d);
    at_index[dim] = index % extent_[dim];
    index /= extent_[dim];
    for (int k = 0; k < operands_; ++k) at[static_cast<std::size_t>(k)] += at_index[dim] * stride(d, k);
  }
  return at;
}

StridedLoop::Offsets StridedLoop::locate(std::int64_t index, int dims) const {
  Index at_index;
  return seek(index, dims, at_index);
}

void StridedLoop::advance(Index& index, Offsets& at) const {
  for (int d = rank_ - 2; d >= 0; --d) {
    const auto dim = static_cast<std::size_t>(d);
    for (int k = 0; k < operands_; ++k) at[static_cast<std::size_t>(k)] += stride_[dim][static_cast<std::size_t>(k)];
    if (++index[dim] < extent_[dim]) return;
    for (int k = 0; k < operands_; ++k)
      at[static_cast<std::size_t>(k)] -= extent_[dim] * stride_[dim][static_cast<std::size_t>(k)];
    index[dim] = 0;
  }
}

}  // namespace dygrad::kernel
