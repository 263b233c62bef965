// Picking and scattering elements by int64 index tensors. Negative indices count from the back; others outside the
// extent throw ShapeError before anything is computed. Differentiable in the values, not in the indices.
// Sums over equal indices, here and in the gradients: up to 64 terms one by one; longer ones with an error of about one
// rounding, whatever their number (float32 in float64, float64 with the sum of its roundings).
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Whole slices: result[..., i, ...] = x[..., index[i], ...] along `axis`; index is 1-D.
DYGRAD_API Tensor index_select(const Tensor& x, int axis, const Tensor& index);
/// Adjoint of index_select: a tensor of `extent` slices along `axis`, slice index[i] of which has source's slice i
/// added.
DYGRAD_API Tensor index_add(const Tensor& source, int axis, const Tensor& index, std::int64_t extent);
/// Elements: result[i, j, ...] = x[i, index[i, j, ...], ...] with the index in dimension `axis`. x and index have equal
/// rank, and equal extents in all other dimensions. The shape is index's.
DYGRAD_API Tensor gather(const Tensor& x, int axis, const Tensor& index);
/// Adjoint of gather: zeros with `extent` along `axis`, to which source's elements are added at their indices.
DYGRAD_API Tensor scatter_add(const Tensor& source, int axis, const Tensor& index, std::int64_t extent);
/// int64 class numbers [...] in [0, depth) -> [..., depth] of zeros with a one. Throws ShapeError for any other number:
/// a label of -1 means no class in datasets, not the last one.
DYGRAD_API Tensor one_hot(const Tensor& index, std::int64_t depth, DType dtype = DType::float32);

}  // namespace dygrad
