// Linear: the fully connected layer.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// y = act(x weight + bias).
/// Shapes: x [..., input_dim]; weight [input_dim, output_dim]; bias [output_dim]; y [..., output_dim].
/// Initial values: weight Xavier, bias 0.
/// Throws at construction: InvalidArgument for sizes below 1, an unknown act, `.param_attr = false`; DtypeError unless
/// floating-point. At forward: ShapeError, DtypeError.
class DYGRAD_API Linear : public Layer {
 public:
  struct Options {
    std::int64_t input_dim = 0;   ///< required
    std::int64_t output_dim = 0;  ///< required
    ParamAttrLike param_attr{};   ///< of the weight
    ParamAttrLike bias_attr{};    ///< false: no bias
    std::string act{};            ///< a name that activation() takes; "" for none
    DTypeLike dtype = DType::float32;
  };

  explicit Linear(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

  Parameter weight;
  Parameter bias;  ///< undefined with `.bias_attr = false`

 private:
  Options options_;
  ActivationFunction act_;
};

}  // namespace dygrad
