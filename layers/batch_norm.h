// BatchNorm: normalisation by the statistics of a batch.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

struct BatchStatistics;

/// y = act((x - m) / sqrt(v + epsilon) * weight + bias), per channel.
/// Training: m and v are the batch's mean and biased variance, and the moving ones become
///   mean = momentum * mean + (1 - momentum) * m, and likewise variance.
/// Evaluation, or use_global_stats: m and v are the moving ones.
/// Shapes: x [N, C] or [N, C, H, W] (NHWC: channels last); weight, bias, mean, variance [C]; y as x.
/// Initial values: weight 1, bias 0, mean 0, variance 1. The moving pair are parameters that stop gradients, so they
/// are listed and saved ("_mean", "_variance"), never optimised. Loaded ones are taken as they are: evaluation gives
/// NaN where a variance is below -epsilon. A forward pass that throws leaves them as they were. Throws at construction:
/// InvalidArgument, DtypeError; at forward: ShapeError, DtypeError. Source: Ioffe and Szegedy, "Batch normalization",
/// ICML 2015.
class DYGRAD_API BatchNorm : public Layer {
 public:
  struct Options {
    std::int64_t num_channels = 0;  ///< C; required
    std::string act{};              ///< a name that activation() takes; "" for none
    bool is_test = false;           ///< behave as in evaluation mode, always
    double momentum = 0.9;          ///< in [0, 1]
    double epsilon = 1e-5;          ///< above 0 and finite, in the dtype
    ParamAttrLike param_attr{};     ///< of the scale
    ParamAttrLike bias_attr{};      ///< of the shift; false: none
    DTypeLike dtype = DType::float32;
    DataFormat data_format = DataFormat::NCHW;
    std::string moving_mean_name{};
    std::string moving_variance_name{};
    bool do_model_average_for_mean_and_var = true;
    bool use_global_stats = false;      ///< normalise by the moving statistics in training too
    bool trainable_statistics = false;  ///< use and update by the batch in evaluation too
  };

  explicit BatchNorm(Options options);
  Tensor forward(const Tensor& x) override;
  const Options& options() const { return options_; }

  Parameter weight;
  Parameter bias;      ///< undefined with `.bias_attr = false`
  Parameter mean;      ///< moving
  Parameter variance;  ///< moving

 private:
  bool uses_batch() const;
  Tensor normalize(const Tensor& x, BatchStatistics& batch);

  Options options_;
  ActivationFunction act_;
  FusedActivation fused_;  // the same where it can be part of the op
};

}  // namespace dygrad
