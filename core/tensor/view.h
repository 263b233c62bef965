// Views: other shapes and strides on the same storage, without copying. They know nothing of derivatives; the ops of
// autograd/ops/shape/shape.h are the differentiable forms. All throw ShapeError.
#pragma once

#include <optional>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::view {

/// Any window on the tensor's storage; the caller vouches that it stays inside.
DYGRAD_API Tensor strided(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t offset);

/// A new handle on the same values, without autograd.
DYGRAD_API Tensor alias(const Tensor& x);

/// Elements start, start + step, ... before stop. Negative start and stop count from the back and are clamped, as in
/// Python; step > 0.
DYGRAD_API Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step = 1);

/// One index of one dimension, which disappears. Negative indices count from the back.
DYGRAD_API Tensor select(const Tensor& x, int axis, std::int64_t index);

/// order[i] is the old dimension that becomes dimension i.
DYGRAD_API Tensor permute(const Tensor& x, const Axes& order);
DYGRAD_API Tensor transpose(const Tensor& x, int axis_a, int axis_b);

/// Repeats extents of 1, and leading dimensions that are missing, with stride 0.
DYGRAD_API Tensor expand(const Tensor& x, const Shape& shape);

/// The same elements under another shape, or nothing if the strides do not allow a view.
DYGRAD_API std::optional<Tensor> reshape(const Tensor& x, const Shape& shape);

/// `shape` with its one -1 replaced so that it has as many elements as `from`. Throws ShapeError naming `op`.
DYGRAD_API Shape resolve_shape(const Shape& from, const Shape& shape, const char* op = "reshape");

}  // namespace dygrad::view
