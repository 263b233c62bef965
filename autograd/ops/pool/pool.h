// 2-D pooling over [N, C, H, W].
#pragma once

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

struct Pool2DOptions {
  Pair size = 2;  ///< of the window: height and width, or one number for both
  Pair stride = 1;
  Pair padding = 0;  ///< before and after the image
  /// Round the output extent up: ceil((H + 2 * padding - size) / stride) + 1, less a last window that would begin
  /// behind the image, in the padding alone. So a window that exceeds the padded image by less than a stride gives an
  /// extent of 1.
  bool ceil_mode = false;
  /// avg only: divide by the number of elements inside the image; false: inside the padded image (torch's
  /// count_include_pad), without what lies behind it with ceil_mode.
  bool exclusive = true;
};
/// Largest value of each window; padding never wins. The gradient goes to the first maximum in row-major order.
/// float32 and float64. Throws ShapeError for rank other than 4 or an output below 1, DtypeError, and InvalidArgument
/// for sizes or strides outside [1, 2^31] or padding outside [0, size).
DYGRAD_API Tensor max_pool2d(const Tensor& x, const Pool2DOptions& options);
/// Mean of each window. Windows of up to 64 cells are added one by one, larger ones along W and then H, each pairwise
/// or by at most 64 additions; so is the gradient where that many windows overlap. max_pool2d's gradient adds up to 64
/// windows one by one, more of them with an error of about one rounding.
DYGRAD_API Tensor avg_pool2d(const Tensor& x, const Pool2DOptions& options);

}  // namespace dygrad
