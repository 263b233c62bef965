// What layers check and arrange of their input before they call ops.
#pragma once

#include <string_view>

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// Throws DtypeError naming `op` unless x has the dtype of the layer's weight.
void check_input_dtype(std::string_view op, const Tensor& x, const Tensor& weight);

/// f(x) for an f that takes and returns [N, C, H, W]; of NHWC images as views.
template <class F>
Tensor in_nchw(const Tensor& x, DataFormat format, const F& f) {
  if (format != DataFormat::NHWC || x.rank() != 4) return f(x);
  return permute(f(permute(x, {0, 3, 1, 2})), {0, 2, 3, 1});
}

}  // namespace dygrad::detail
