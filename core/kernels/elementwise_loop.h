// The driver loop of elementwise kernels: iterates over tensors of equal shape and any strides, and calls a kernel on
// contiguous spans, so that one loop per function is compiled.
#pragma once

#include <cstdint>
#include <span>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

/// A tensor, and the address of its first element.
struct ElementwiseOperand {
  const Tensor* tensor;
  void* data;

  ElementwiseOperand() = default;
  ElementwiseOperand(const Tensor& x)
      : tensor(&x),
        data(x.impl()->storage->data() + x.impl()->offset * static_cast<std::int64_t>(size_of(x.impl()->dtype))) {}
};

/// Computes n neighbouring elements; operands[k] points to the first of operand k. `f` is the function object,
/// type-erased.
using ElementwiseKernel = void (*)(const void* f, std::int64_t n, void* const* operands);

/// Runs the kernel over all elements, on several threads for large tensors. The first operand is written; it may be the
/// same memory as another, element for element. Shapes must be equal (asserted).
DYGRAD_API void run_elementwise(ElementwiseKernel kernel, const void* f, std::span<const ElementwiseOperand> operands);

/// The operand whose memory order a result follows: the first dense one, not an expanded view.
DYGRAD_API const Tensor& leading(std::span<const Tensor* const> inputs);

/// The same into a fresh tensor of that dtype, in the order of the leading input.
DYGRAD_API Tensor run_elementwise(ElementwiseKernel kernel, const void* f, std::span<const Tensor* const> inputs,
                                  DType dtype);

}  // namespace dygrad::kernel
