// Normalisation.
#pragma once

#include <dygrad/core/fused_activation.h>
#include <dygrad/core/tensor.h>

namespace dygrad {

/// What batch_norm saw of its batch, for moving averages; outside of any graph. Shapes [C].
struct BatchStatistics {
  Tensor mean;
  Tensor variance;  ///< biased
};

/// (x - mean) / sqrt(variance + epsilon) * scale + shift per channel (dimension 1) over all other dimensions, with the
/// batch's own mean and biased variance, through which gradients flow. x [N, C] or [N, C, H, W]; scale, shift [C] or
/// undefined. `statistics`, if given, receives mean and variance; `activation`, if any, comes last. Throws ShapeError,
/// DtypeError. Source: Ioffe and Szegedy, "Batch normalization", ICML 2015.
DYGRAD_API Tensor batch_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double epsilon = 1e-5,
                             BatchStatistics* statistics = nullptr, const FusedActivation& activation = {});
/// The same with given mean and variance [C], which count as constants.
DYGRAD_API Tensor batch_norm_inference(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& scale,
                                       const Tensor& shift, double epsilon = 1e-5,
                                       const FusedActivation& activation = {});

}  // namespace dygrad
