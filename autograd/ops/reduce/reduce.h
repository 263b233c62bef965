// Reductions over a list of axes (empty: all of them), with keepdim to leave extents of 1. Floating-point, ShapeError
// on a bad axis. Sums are pairwise, so their error grows with the logarithm of the length; results do not depend on
// threads.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Sum; of int64, uint8 and bool (counting) too, as int64. Empty sums are 0.
DYGRAD_API Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Mean; of nothing: NaN.
DYGRAD_API Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Largest element; NaN propagates. Equal maxima share the gradient evenly, others get 0, also of an infinite one.
/// Throws ShapeError over an empty extent.
DYGRAD_API Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Smallest element; as max.
DYGRAD_API Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Index of the first maximum along one axis, or of the first NaN if there is one; int64, no gradient. All dtypes but
/// bool. Throws ShapeError over an empty extent; of a tensor of rank 0 it is 0.
DYGRAD_API Tensor argmax(const Tensor& x, int axis, bool keepdim = false);
/// Index of the first minimum; as argmax.
DYGRAD_API Tensor argmin(const Tensor& x, int axis, bool keepdim = false);
/// Mean of squared distances from the mean, times n / (n - correction). correction = 0 gives the biased variance. Two
/// passes over the distances: as accurate, gradients too, for values far from 0.
DYGRAD_API Tensor var(const Tensor& x, const Axes& axes = {}, bool keepdim = false, int correction = 1);
/// log(sum(exp(x))), computed without overflow; -inf over an empty extent. Its gradient, softmax, sums to 1 whatever
/// the size of x.
DYGRAD_API Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// True if any / all elements are true. bool tensors, over all axes.
DYGRAD_API bool any(const Tensor& x);
DYGRAD_API bool all(const Tensor& x);

}  // namespace dygrad
