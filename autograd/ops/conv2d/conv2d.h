// 2-D convolution and transposed convolution. Both are one family of three bilinear ops, closed under derivatives:
//   conv2d_transpose(x, w)  the transposed convolution (fwd)
//   conv2d(g, w)            its adjoint in x, which is the ordinary convolution (bwd_data)
//   conv2d_weights(x, g)    its adjoint in w (bwd_weights)
// with <conv2d_transpose(x, w), g> = <x, conv2d(g, w)> = <w, conv2d_weights(x, g)>. Each one's vjp uses the other two,
// so any order of derivative exists.
// Accuracy of all three: sums of n products, n being the channels of a group times the taps of the kernel for images,
// and the pixels of all images for weights, have an error of at most n u up to 2^14 products and (2048 + log2 n) u
// beyond, relative to the sum of the absolute products, with u half the machine epsilon. Winograd, which
// MathMode::strict rules out, multiplies this by a constant: see docs/accuracy.md.
#pragma once

#include <array>

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

struct Conv2DTransposeOptions {
  Pair stride = 1;
  Padding2D padding = 0;
  Pair output_padding = 0;  ///< added to H' at the bottom and right; less than max(stride, dilation)
  Pair dilation = 1;
  std::int64_t groups = 1;
  OutputSize output_size{};  ///< H' <= value < H' + stride; excludes output_padding
  DataFormat data_format = DataFormat::NCHW;
  /// Applied last, as part of the op. fused_activation() knows four by name, and is none for the others: apply these to
  /// the result, as the layers do.
  FusedActivation activation{};
};

/// Transposed 2-D convolution: the adjoint of conv2d with the same parameters.
///   y[n, g*O/G + o, h*sh - ph + i*dh, w*sw - pw + j*dw] += x[n, c, h, w] * w[c, o, i, j]   for c in group g; then + b,
///   activation
/// Shapes: x [N, C, H, W]; w [C, O/groups, kh, kw]; b [O] or undefined; result [N, O, OH, OW] with
///         H' = (H-1)*sh - top - bottom + dh*(kh-1) + 1; OH is H', H' + output_padding, or output_size.
///         Extra rows and columns lie at the bottom and right and carry real sums, not padding. NHWC: x and y
///         channel-last.
/// Dtypes: float32, float64; all equal. The stride order of the result is the backend's choice.
/// Throws: ShapeError if ranks, channels, groups, output_size or output_padding do not fit or an output extent is below
/// 1;
///         InvalidArgument for strides, dilations, groups < 1, negative padding or slopes; DtypeError if dtypes differ.
/// Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.
DYGRAD_API Tensor conv2d_transpose(const Tensor& x, const Tensor& w, const Tensor& b = {},
                                   const Conv2DTransposeOptions& options = {});

struct Conv2DOptions {
  Pair stride = 1;
  Padding2D padding = 0;
  Pair dilation = 1;
  std::int64_t groups = 1;
  DataFormat data_format = DataFormat::NCHW;
  /// Applied last, as part of the op. fused_activation() knows four by name, and is none for the others: apply these to
  /// the result, as the layers do.
  FusedActivation activation{};
};

/// 2-D convolution (cross-correlation: no kernel flip).
///   y[n, o, oh, ow] = sum over c, i, j of x[n, c, oh*sh - ph + i*dh, ow*sw - pw + j*dw] * w[o, c, i, j]; then + b,
///   activation
/// Shapes: x [N, C, H, W]; w [O, C/groups, kh, kw]; b [O] or undefined; result [N, O, OH, OW],
///         OH = floor((H + top + bottom - dh*(kh-1) - 1) / sh) + 1.
/// Dtypes and errors as conv2d_transpose.
DYGRAD_API Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b = {}, const Conv2DOptions& options = {});

// The family itself, for users who build layers of their own. Extents in `p` must fit the tensors (ShapeError).
DYGRAD_API Tensor explicit_conv2d_transpose(const Tensor& x, const Tensor& w, const Conv2DParams& p);
DYGRAD_API Tensor explicit_conv2d(const Tensor& g, const Tensor& w, const Conv2DParams& p);
DYGRAD_API Tensor conv2d_weights(const Tensor& x, const Tensor& g, const Conv2DParams& p,
                                 std::array<std::int64_t, 2> kernel);

/// The resolved parameters of a transposed convolution, or an error as above. `x` is NCHW here.
DYGRAD_API Conv2DParams infer_conv2d_transpose_params(const Conv2DTransposeOptions& options, const Shape& x,
                                                      const Shape& w);

}  // namespace dygrad
