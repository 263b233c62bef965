// PRelu: a leaky rectifier that learns its slope.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// y = x > 0 ? x : weight * x; at 0 the derivative is the weight.
/// weight: [1] for mode "all", x of any shape; [1, channel, 1, 1] for "channel", x [N, channel, ...]; [1, input_shape
/// without its first extent] for "element", x of input_shape with any first extent. Initial value 1.
/// Throws at construction: InvalidArgument for another mode, channel < 1 for "channel", an input_shape of rank 0 for
/// "element", or `.param_attr = false`; ShapeError for an extent of input_shape below 1; DtypeError. At forward:
/// ShapeError for another x, DtypeError. Source: He et al., "Delving deep into rectifiers", 2015.
class DYGRAD_API PRelu : public Layer {
 public:
  struct Options {
    std::string mode = "all";
    std::int64_t channel = 0;  ///< for "channel"
    Shape input_shape{};       ///< for "element", with the batch extent, which is ignored
    ParamAttrLike param_attr{};
    DTypeLike dtype = DType::float32;
  };

  PRelu();
  explicit PRelu(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

  Parameter weight;

 private:
  Options options_;
};

}  // namespace dygrad
