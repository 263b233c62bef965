// The algorithms of this backend, one file each. All read and write channels-last images of float32 or float64.
#pragma once

#include <dygrad/core/backend.h>

namespace dygrad::native {

const Algorithm& subpixel();           ///< D: an ordinary convolution per phase of the output (subpixel.cpp)
const Algorithm& scatter();            ///< D: a product per input pixel, then sums per output pixel (scatter.cpp)
const Algorithm& convolution();        ///< B: an ordinary convolution (convolution.cpp)
const Algorithm& weights_gradient();   ///< W: pixels times patches (weights_gradient.cpp)
const Algorithm& weights_by_taps();    ///< W: the same for few filters (weights_by_taps.cpp)
const Algorithm& depthwise();          ///< D, B and W of one channel per group (depthwise.cpp)
const Algorithm& winograd();           ///< D with fewer products (winograd.cpp)
const Algorithm& winograd_data();      ///< B likewise
const Algorithm& winograd_gradient();  ///< W likewise (winograd_gradient.cpp)
const Algorithm& wide_winograd();      ///< D, B and W with larger tiles: fewer products still, larger rounding errors
const Algorithm& wide_winograd_data();
const Algorithm& wide_winograd_gradient();
const Algorithm& matmul();  ///< matrix products (matmul.cpp)

// The same with factors rounded to bfloat16, for problems that allow it.
const Algorithm& bf16_subpixel();
const Algorithm& bf16_scatter();
const Algorithm& bf16_convolution();
const Algorithm& bf16_weights_gradient();
const Algorithm& bf16_weights_by_taps();
const Algorithm& bf16_winograd();
const Algorithm& bf16_winograd_data();
const Algorithm& bf16_winograd_gradient();

}  // namespace dygrad::native
