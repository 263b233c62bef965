// From the options of a 2-D convolution to the numbers it runs with, all checks included. For conv2d.cpp.
#pragma once

#include <dygrad/autograd/ops/conv2d/conv2d.h>

namespace dygrad::detail {

/// Parameters of the op B whose result is conv2d(x, w): its output is x's extent, its input the result's. x is NCHW.
Conv2DParams resolve_conv2d(const Conv2DOptions& options, const Shape& x, const Shape& w);

}  // namespace dygrad::detail
