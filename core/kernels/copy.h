// Copies between tensors of any strides, and conversions. They know nothing of derivatives.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

/// Writes source's elements, converted, into destination, whose shape must be equal (ShapeError). Both may lie in the
/// same memory, in any way. Does not bump the version.
DYGRAD_API void copy(const Tensor& source, const Tensor& destination);
DYGRAD_API void fill(const Tensor& destination, double value);

/// A fresh, dense tensor with the same values, in the order given, or in x's own where that is dense.
DYGRAD_API Tensor clone(const Tensor& x);
DYGRAD_API Tensor clone(const Tensor& x, MemoryFormat format);

/// x itself if already dense in that order, else a copy.
DYGRAD_API Tensor contiguous(const Tensor& x, MemoryFormat format = MemoryFormat::row_major);

/// x itself if already of that dtype. Floats to integers truncate and saturate, NaN becomes 0; to bool: not zero.
DYGRAD_API Tensor cast(const Tensor& x, DType dtype);

/// Uninitialised tensor of x's shape whose memory order follows x's where x is dense (row-major or channels-last), so
/// that elementwise results keep the order of their inputs.
DYGRAD_API Tensor empty_like(const Tensor& x, DType dtype);

/// Number of copies made by `contiguous` so far in this process: what a chain of layers should not cause.
DYGRAD_API std::int64_t layout_conversions();

}  // namespace dygrad::kernel
