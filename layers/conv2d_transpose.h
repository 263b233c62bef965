// Conv2DTranspose: the layer of transposed 2-D convolution, Paddle's fluid.dygraph.Conv2DTranspose.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// y = act(conv2d_transpose(x, weight) + bias); see conv2d_transpose for the formula.
/// Shapes: x [N, C, H, W]; weight [C, O/groups, kh, kw]; bias [O]; y [N, O, OH, OW] with
///         H' = (H-1)*stride - top - bottom + dilation*(kh-1) + 1; OH is H', H' + output_padding, or output_size.
/// Initial values: weight Xavier, bias 0.
/// Throws at construction: InvalidArgument for sizes, strides, dilations or groups below 1, negative padding, groups
/// that do not divide both channel counts, output_padding outside [0, max(stride, dilation)), output_size together with
/// output_padding, an unknown act, `.param_attr = false`; DtypeError unless float32 or float64. Nothing is made then
/// and no name is taken. At forward: ShapeError, DtypeError.
class DYGRAD_API Conv2DTranspose : public Layer {
 public:
  struct Options {
    std::int64_t num_channels = 0;              ///< C; required
    std::int64_t num_filters = 0;               ///< O; required
    Pair filter_size{};                         ///< kh, kw; required
    OutputSize output_size{};                   ///< H' <= output_size < H' + stride, per axis; default H'
    Padding2D padding = 0;                      ///< cropped from the result; all forms of Padding2D
    Pair stride = 1;                            ///< of the output per input step
    Pair dilation = 1;                          ///< between kernel elements
    std::int64_t groups = 1;                    ///< divides C and O
    ParamAttrLike param_attr{};                 ///< of the weight
    ParamAttrLike bias_attr{};                  ///< false: no bias
    bool use_cudnn = true;                      ///< accepted for compatibility; there is no GPU to use
    std::string act{};                          ///< a name that activation() takes, applied last; "" for none
    DTypeLike dtype = DType::float32;           ///< of weight and bias; the input's must be equal
    Pair output_padding = 0;                    ///< extra rows and columns at the bottom and right
    DataFormat data_format = DataFormat::NCHW;  ///< of input and output; the weight is the same for both
  };

  explicit Conv2DTranspose(Options options);

  Tensor forward(const Tensor& x) override;
  /// With an output size for this call, which replaces options().output_size and output_padding.
  Tensor forward(const Tensor& x, OutputSize output_size);
  using Layer::operator();
  Tensor operator()(const Tensor& x, OutputSize output_size);

  const Options& options() const { return options_; }

  Parameter weight;
  Parameter bias;  ///< undefined with `.bias_attr = false`

 private:
  Tensor run(const Tensor& x, const Conv2DTransposeOptions& op);

  Options options_;
  Conv2DTransposeOptions op_;  // as the op takes them
  ActivationFunction act_;     // applied here unless it is part of the op
};

}  // namespace dygrad
