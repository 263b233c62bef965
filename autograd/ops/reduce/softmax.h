// Softmax and its logarithm along one axis.
#pragma once

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// exp(x - max) / sum(exp(x - max)) along `axis`. Sums are blocked, in float64, so that their error does not grow with
/// the extent. A largest element of infinity takes all; several share. The gradient that a second-order pass gives for
/// the result itself is determined up to a constant along `axis`, which softmax's gradient maps to 0.
DYGRAD_API Tensor softmax(const Tensor& x, int axis = -1);
/// x - logsumexp(x) along `axis`, computed stably.
DYGRAD_API Tensor log_softmax(const Tensor& x, int axis = -1);

}  // namespace dygrad
