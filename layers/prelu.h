// PRelu: a leaky rectifier that learns its slope.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/layers/layer.h>

namespace dygrad {

/// y = max(0, x) + weight * min(0, x).
/// weight: [1] for mode "all"; [1, channel, 1, 1] for "channel", x [N, C, H, W]; [1, input_shape without its first
/// extent] for "element". Initial value 1.
/// Throws InvalidArgument for another mode or `.param_attr = false`, ShapeError for extents below 1.
/// Source: He et al., "Delving deep into rectifiers", 2015.
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
