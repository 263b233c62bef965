// Algorithms of implicit GEMM, one file each, of the same name. fwd is the transposed convolution, bwd_data the
// ordinary one, bwd_weights the gradient of the weights of both.
#pragma once

#include <dygrad/backends/native/packing/native_algorithm.h>

namespace dygrad::native {

MakeAlgorithm make_subpixel;               ///< fwd: an ordinary convolution per sub-kernel
MakeAlgorithm make_gemm_col2im;            ///< fwd: a GEMM over input pixels, then shifted adds
MakeAlgorithm make_implicit_gemm;          ///< bwd_data
MakeAlgorithm make_implicit_gemm_weights;  ///< bwd_weights
MakeAlgorithm make_weights_by_taps;        ///< bwd_weights, for few filters
MakeAlgorithm make_matmul;                 ///< matrix products

}  // namespace dygrad::native
