// Sums of elementwise functions without the tensor of their values: what losses need.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include <dygrad/core/kernels/elementwise.h>

namespace dygrad::kernel {

/// The sum of the kernel's outputs, as a tensor of rank 0; `operands` are what it reads. Pairwise, and cut into the
/// same blocks whatever the number of threads.
DYGRAD_API Tensor sum_elementwise(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands,
                                  DType dtype);

/// The sum of f(x[i]...) over all elements, for float32 or float64 inputs of one dtype and shape. Throws DtypeError
/// naming `op`.
template <class F, class... Tensors>
Tensor map_sum(std::string_view op, const F& f, const Tensor& first, const Tensors&... rest) {
  return dispatch_float(first.dtype(), op, [&]<class T>() {
    const ElementwiseOperand operands[] = {first, rest...};
    return sum_elementwise(&detail::map_kernel<T, F, T, detail::Same<T, Tensors>...>, &f, operands, dtype_of<T>());
  });
}

}  // namespace dygrad::kernel
