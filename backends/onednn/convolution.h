// One direction of one transposed-convolution problem as a compiled oneDNN primitive, and the layouts it works on.
//
//   direction         primitive                        reads        writes
//   conv2d_transpose          deconvolution_forward            x, weights   y
//   conv2d     convolution_forward              y, weights   x
//   conv2d_weights  deconvolution_backward_weights   x, y         weights
#pragma once

#include <string>
#include <string_view>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/onednn/compat.h>

namespace dygrad::onednn {

/// Made once per problem and number of threads; executing it changes nothing here.
struct Convolution {
  dnnl::primitive primitive;
  dnnl::memory::desc x, y;           ///< channels-last
  dnnl::memory::desc weights;        ///< as the primitive wants them
  dnnl::memory::desc plain_weights;  ///< dygrad's row-major [C, O/G, kh, kw], seen as this direction sees it
  dnnl::memory::desc scratchpad;
  std::string algorithm;  ///< "deconvolution_forward:brgconv:avx512_core"

  bool weights_are_plain() const { return weights == plain_weights; }
};

/// Compiles the primitive. Throws dnnl::error where oneDNN refuses the problem. No extent may be 0.
Convolution make_convolution(Problem::Kind direction, const Conv2DSizes& sizes);

/// True if `algorithm` names one of oneDNN's plain-C++ stand-ins, which any other backend beats.
bool is_stand_in(std::string_view algorithm);

}  // namespace dygrad::onednn
