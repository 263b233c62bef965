// Algorithms that multiply panels of the images and of the weights, one file each.
#pragma once

#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

const Algorithm& subpixel();          ///< D: an ordinary convolution per phase of the output (subpixel.cpp)
const Algorithm& scatter();           ///< D: a product per input pixel, then sums per output pixel (scatter.cpp)
const Algorithm& convolution();       ///< B: an ordinary convolution (convolution.cpp)
const Algorithm& weights_gradient();  ///< W: pixels times patches (weights_gradient.cpp)
const Algorithm& weights_by_taps();   ///< W: the same for few filters (weights_by_taps.cpp)
const Algorithm& matmul();            ///< matrix products (matmul.cpp)

// The same with factors rounded to bfloat16, for problems that allow it.
const Algorithm& bf16_subpixel();
const Algorithm& bf16_scatter();
const Algorithm& bf16_convolution();
const Algorithm& bf16_weights_gradient();
const Algorithm& bf16_weights_by_taps();

}  // namespace dygrad::native
