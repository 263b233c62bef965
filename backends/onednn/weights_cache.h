// Weights in the layouts that primitives want; see Note [Prepacked weights] in backends/common/prepacked_weights.h.
#pragma once

#include <dygrad/backends/onednn/convolution.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::onednn {

/// The weights as `convolution` wants them, reordered now or before. Thread-safe. Keep `owner` while using the memory.
dnnl::memory converted_weights(const Convolution& convolution, const Tensor& w, Ref<RefCounted>& owner);

}  // namespace dygrad::onednn
