// Normalisation.
#pragma once

#include <dygrad/core/base/fused_activation.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// What batch_norm saw of its batch, for moving averages; outside of any graph. Shapes [C].
struct BatchStatistics {
  Tensor mean;
  Tensor variance;  ///< biased
};

/// (x - mean) / sqrt(variance + epsilon) * scale + shift per channel (dimension 1) over all other dimensions, with the
/// batch's own mean and biased variance, through which gradients flow. x [N, C] or [N, C, H, W]; scale, shift [C] or
/// undefined. `statistics`, if given, receives mean and variance; `activation`, if any, comes last. `epsilon` is finite
/// in the dtype and positive, or exactly 0 where no channel is constant: such a one would give NaN. Results and
/// gradients are accurate also where squares of distances overflow or underflow, as long as sums of x and of distances
/// are finite. `statistics` then hold an infinite variance (distances above about 1e19 in float32, 1e154 in float64),
/// and so does every moving average of it. Throws ShapeError, DtypeError, and InvalidArgument for another epsilon or a
/// slope of `activation` that is negative or not finite. Source: Ioffe and Szegedy, "Batch normalization", ICML 2015.
DYGRAD_API Tensor batch_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double epsilon = 1e-5,
                             BatchStatistics* statistics = nullptr, const FusedActivation& activation = {});
/// The same with given mean and variance [C], which count as constants; a channel of variance 0 needs an epsilon.
/// Gradients are those at the numbers of the call, whatever is written to mean and variance later.
DYGRAD_API Tensor batch_norm_inference(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& scale,
                                       const Tensor& shift, double epsilon = 1e-5,
                                       const FusedActivation& activation = {});

}  // namespace dygrad
