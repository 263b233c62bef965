// Weights in the layouts that primitives want, kept beside the weights themselves.
//
// Note [Converted weights]
// A conversion hangs on the backend slot of the weights' storage, so that it dies with them. It is valid for one
// version of the storage, one view on it and one wanted layout. An in-place change bumps the version; the next use
// converts anew and drops what belongs to older versions.
#pragma once

#include <dygrad/backends/onednn/convolution.h>
#include <dygrad/core/tensor.h>

namespace dygrad::onednn {

/// Most conversions kept per storage: both directions, for two groups of shapes that want different layouts.
inline constexpr std::size_t kConversionsPerStorage = 4;

/// The weights as `convolution` wants them, converted now or before. Thread-safe.
dnnl::memory converted_weights(const Convolution& convolution, const Tensor& w);

}  // namespace dygrad::onednn
