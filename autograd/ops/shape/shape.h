// Ops that move elements without computing: views where the strides allow, copies otherwise.
// All dtypes; all differentiable for floating-point inputs; ShapeError where axes or sizes do not fit.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// The same elements in row-major order under another shape; one extent may be -1. A view where possible.
DYGRAD_API Tensor reshape(const Tensor& x, const Shape& shape);
/// Merges dimensions start_axis .. stop_axis, both included, into one.
DYGRAD_API Tensor flatten(const Tensor& x, int start_axis = 0, int stop_axis = -1);
/// Swaps two dimensions. A view.
DYGRAD_API Tensor transpose(const Tensor& x, int axis_a, int axis_b);
/// Result dimension i is x's dimension order[i]. A view.
DYGRAD_API Tensor permute(const Tensor& x, const Axes& order);
/// Repeats extents of 1, and missing leading dimensions, up to `shape`. A view with stride 0. vjp: sum_to.
DYGRAD_API Tensor expand(const Tensor& x, const Shape& shape);
/// Sums the dimensions that expand() would repeat: the adjoint of expand. Floating-point only (DtypeError).
DYGRAD_API Tensor sum_to(const Tensor& x, const Shape& shape);
/// Elements start, start + step, ... before stop of one dimension, as in Python; step > 0. A view.
DYGRAD_API Tensor slice(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, std::int64_t step = 1);
/// One index of one dimension, which disappears. A view.
DYGRAD_API Tensor select(const Tensor& x, int axis, std::int64_t index);
/// Removes a dimension of extent 1.
DYGRAD_API Tensor squeeze(const Tensor& x, int axis);
/// Adds a dimension of extent 1 so that it becomes dimension `axis` of the result.
DYGRAD_API Tensor unsqueeze(const Tensor& x, int axis);

/// Joins tensors of one dtype along an existing dimension; their other extents must be equal.
DYGRAD_API Tensor concat(std::span<const Tensor> tensors, int axis = 0);
inline Tensor concat(std::initializer_list<Tensor> tensors, int axis = 0) {
  return concat(std::span<const Tensor>(tensors.begin(), tensors.size()), axis);
}
/// Joins tensors of equal shape along a new dimension.
DYGRAD_API Tensor stack(std::span<const Tensor> tensors, int axis = 0);
inline Tensor stack(std::initializer_list<Tensor> tensors, int axis = 0) {
  return stack(std::span<const Tensor>(tensors.begin(), tensors.size()), axis);
}
/// Cuts one dimension into sections of the given sizes, which must add up to its extent. Views.
DYGRAD_API std::vector<Tensor> split(const Tensor& x, std::span<const std::int64_t> sizes, int axis = 0);
inline std::vector<Tensor> split(const Tensor& x, std::initializer_list<std::int64_t> sizes, int axis = 0) {
  return split(x, std::span<const std::int64_t>(sizes.begin(), sizes.size()), axis);
}
/// Cuts one dimension into `sections` equal sections. Views.
DYGRAD_API std::vector<Tensor> split(const Tensor& x, std::int64_t sections, int axis = 0);

/// Extra elements before and after each dimension, first dimension first. Negative amounts crop.
struct PadAmount {
  std::int64_t before = 0;
  std::int64_t after = 0;
};
/// Surrounds x with `value`. One amount per dimension; fewer apply to the last dimensions. Where nothing is added, the
/// result is a view of x. Throws DtypeError unless the dtype holds `value`: a whole number in range for int64, uint8
/// and bool; for float32 one that does not round to infinity (infinities and NaN are allowed). Throws ShapeError if
/// more is cropped than there is.
DYGRAD_API Tensor pad(const Tensor& x, std::span<const PadAmount> amounts, double value = 0);
inline Tensor pad(const Tensor& x, std::initializer_list<PadAmount> amounts, double value = 0) {
  return pad(x, std::span<const PadAmount>(amounts.begin(), amounts.size()), value);
}

/// The same values as another dtype; gradients are converted back. Casts from or to integers and bool stop gradients.
DYGRAD_API Tensor cast(const Tensor& x, DType dtype);
/// A copy with memory of its own, still part of the graph.
DYGRAD_API Tensor clone(const Tensor& x);
/// x itself if dense in that order, else a copy that is.
DYGRAD_API Tensor contiguous(const Tensor& x, MemoryFormat format = MemoryFormat::row_major);

}  // namespace dygrad
