// One-line descriptions of problems, for DYGRAD_VERBOSE and for error messages.
#pragma once

#include <string>

#include <dygrad/backends/common/conv2d_sizes.h>

namespace dygrad {

/// In the words of oneDNN's benchdnn, so that a line can be replayed there: dilation 1 is written dh0, and end padding
/// follows from the extents. Example: "mb8_g1ic64oc32_ih16oh32kh4sh2dh0ph1_iw16ow32kw4sw2dw0pw1".
std::string problem_text(const Conv2DSizes& sizes, DType dtype);

/// Of any kind; "float32:2x3x4:2x4x5" for a product.
std::string problem_text(const Problem& problem);

}  // namespace dygrad
