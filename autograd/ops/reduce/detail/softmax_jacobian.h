// Products with the Jacobians of softmax and log_softmax, for the derivatives of both, of logsumexp and of
// cross-entropy.
//
// Note [Softmax-Jacobian products where one class dominates]
// With p = softmax(x), softmax has the Jacobian J = diag(p) - p p^T and log_softmax L = I - 1 p^T. Where one class k
// has nearly all of the probability, 1 - p[k] is lost in the rounding of p[k], while the other p keep their digits. J
// and L map constants to 0, so that g[k] may be subtracted from g first: what is left of the sum over p g are the
// others' terms alone. In g - p sum(g), the transpose of L, 1 - p[k] is the sum of the others. A class dominates if
// p[k] > 1/2: then the sum has the size of g[k] anyway, so that subtracting g[k] first costs no digits.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// p (g - sum(p g)), sums over the axes: J g, which is J^T g too. Differentiable any number of times, as are the
/// other two.
/// Gradients to p are short of a constant along the axes, which the derivative of softmax maps to 0: p has to come from
/// softmax or exp(log_softmax).
Tensor softmax_vjp(const Tensor& g, const Tensor& p, const Axes& axes);
/// g - p sum(g): L^T g.
Tensor log_softmax_vjp(const Tensor& g, const Tensor& p, const Axes& axes);
/// g - sum(p g): L g.
Tensor log_softmax_jvp(const Tensor& g, const Tensor& p, const Axes& axes);

}  // namespace dygrad::detail
