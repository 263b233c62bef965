#include <dygrad/core/kernels/elementwise_sum.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/kernels/reduction_kernels.h>
#include <dygrad/core/kernels/strided_loop.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::kernel {

namespace {

const ReductionKernels& sums_of(DType dtype) {
  return dtype == DType::float32 ? kReductionKernels<Add, float, float> : kReductionKernels<Add, double, double>;
}

}  // namespace

Tensor sum_elementwise(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands,
                       DType dtype) {
  std::array<const Tensor*, StridedLoop::kMaxOperands> tensors{};
  std::ranges::transform(operands, tensors.begin(), &ElementwiseOperand::tensor);
  const StridedLoop loop(std::span<const Tensor* const>(tensors).first(operands.size()));
  const std::int64_t n = loop.num_elements();
  if (n > 0 && !loop.is_dense()) {
    const Tensor values = empty_like(*operands[0].tensor, dtype);
    std::array<ElementwiseOperand, StridedLoop::kMaxOperands> all{ElementwiseOperand(values)};
    std::ranges::copy(operands, all.begin() + 1);
    run_elementwise(kernel, f, std::span<const ElementwiseOperand>(all).first(operands.size() + 1));
    Axes axes;
    for (int i = 0; i < values.rank(); ++i) axes.push_back(i);
    return *view::reshape(reduce_sum(values, axes), {});
  }

  // Values are summed while they are in the L1 cache.
  const auto size = static_cast<std::int64_t>(size_of(dtype));
  const ReductionKernels& sums = sums_of(dtype);
  const std::int64_t leaves = (n + kLeafLine - 1) / kLeafLine;
  const Tensor partial = Tensor::empty({leaves}, dtype);
  std::byte* results = partial.impl()->storage->data();
  parallel_for(leaves, std::max<std::int64_t>(kElementwiseGrain / kLeafLine, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 alignas(64) std::array<std::byte, kLeafLine * sizeof(double)> values;
                 std::array<void*, StridedLoop::kMaxOperands> places{values.data()};
                 for (std::int64_t leaf = begin; leaf < end; ++leaf) {
                   for (std::size_t k = 0; k < operands.size(); ++k)
                     places[k + 1] = static_cast<std::byte*>(operands[k].data) + leaf * kLeafLine * size;
                   const std::int64_t count = std::min(kLeafLine, n - leaf * kLeafLine);
                   kernel(f, count, places.data());
                   sums.fold_lines({values.data(), 1, 0, count}, results + leaf * size, 0);
                 }
               });
  return *view::reshape(reduce_sum(partial, {0}), {});
}

}  // namespace dygrad::kernel
