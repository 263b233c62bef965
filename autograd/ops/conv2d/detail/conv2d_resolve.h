// From the options of a 2-D convolution to the numbers it runs with, all checks included. For conv2d.cpp.
#pragma once

#include <dygrad/autograd/ops/conv2d/conv2d.h>

namespace dygrad::detail {

/// Parameters of the transposed convolution that conv2d(x, w) is the adjoint of: x has its output extent, the result of
/// conv2d its input extent. x is NCHW.
Conv2DParams infer_conv2d_params(const Conv2DOptions& options, const Shape& x, const Shape& w);

}  // namespace dygrad::detail
