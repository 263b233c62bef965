// Conv2D: the layer of 2-D convolution, Paddle's fluid.dygraph.Conv2D.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// y = act(conv2d(x, weight) + bias); see conv2d for the formula.
/// Shapes: x [N, C, H, W]; weight [O, C/groups, kh, kw]; bias [O]; y [N, O, OH, OW] with
///         OH = floor((H + top + bottom - dilation*(kh-1) - 1) / stride) + 1.
/// Initial values: weight Normal(0, sqrt(2 / (kh*kw*C))), bias 0.
/// Errors as Conv2DTranspose.
class DYGRAD_API Conv2D : public Layer {
 public:
  struct Options {
    std::int64_t num_channels = 0;  ///< C; required
    std::int64_t num_filters = 0;   ///< O; required
    Pair filter_size{};             ///< kh, kw; required
    Pair stride = 1;
    Padding2D padding = 0;
    Pair dilation = 1;
    std::int64_t groups = 1;     ///< divides C and O
    ParamAttrLike param_attr{};  ///< of the weight
    ParamAttrLike bias_attr{};   ///< false: no bias
    bool use_cudnn = true;       ///< accepted for compatibility; there is no GPU to use
    std::string act{};           ///< a name that activation() takes, applied last; "" for none
    DTypeLike dtype = DType::float32;
    DataFormat data_format = DataFormat::NCHW;
  };

  explicit Conv2D(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

  Parameter weight;
  Parameter bias;  ///< undefined with `.bias_attr = false`

 private:
  Options options_;
  Conv2DOptions op_;        // as the op takes them
  ActivationFunction act_;  // applied here unless it is part of the op
};

}  // namespace dygrad
