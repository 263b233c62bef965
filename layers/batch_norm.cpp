#include <dygrad/layers/batch_norm.h>

#include <utility>

#include <dygrad/autograd/ops/norm.h>
#include <dygrad/autograd/ops/shape.h>
#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/options_check.h>

namespace dygrad {

namespace {

const BatchNorm::Options& checked(const BatchNorm::Options& o) {
  const detail::OptionsCheck check("BatchNorm");
  check.at_least("num_channels", o.num_channels, 1);
  check.between("momentum", o.momentum, 0, 1);
  if (!(o.epsilon > 0)) check.fail("epsilon", "epsilon > 0", fmt::format("{}", o.epsilon));
  check.weight_wanted(o.param_attr);
  check.floating(o.dtype);
  return o;
}

/// moving = momentum * moving + (1 - momentum) * batch.
void update_moving(Tensor moving, const Tensor& batch, double momentum) {
  dispatch_float(moving.dtype(), "batch_norm", [&]<class T>() {
    const std::span<const T> from = batch.read<T>();
    const std::span<T> to = moving.write<T>();
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<T>(momentum * static_cast<double>(to[i]) + (1 - momentum) * static_cast<double>(from[i]));
    }
  });
}

}  // namespace

BatchNorm::BatchNorm(Options options)
    : Layer({}, checked(options).dtype),
      options_(std::move(options)),
      act_(detail::OptionsCheck("BatchNorm").activation(options_.act)),
      fused_(fused_activation(options_.act)) {
  const Options& o = options_;
  const auto moving = [&](const std::string& name, double value) {
    return ParamAttr{.name = name,
                     .initializer = Constant{.value = value},
                     .trainable = false,
                     .do_model_average = o.do_model_average_for_mean_and_var};
  };
  const Shape shape{o.num_channels};
  const ParameterSpec specs[] = {
      {.shape = shape, .attr = o.param_attr, .default_initializer = Constant{.value = 1}},
      {.shape = shape, .attr = o.bias_attr, .is_bias = true},
      {.shape = shape, .attr = moving(o.moving_mean_name, 0)},
      {.shape = shape, .attr = moving(o.moving_variance_name, 1)},
  };
  const std::vector<Parameter> parameters = create_parameters(specs);
  weight = parameters[0];
  bias = parameters[1];
  mean = parameters[2];
  variance = parameters[3];
  register_parameter("weight", weight);
  register_parameter("bias", bias);
  register_parameter("_mean", mean);
  register_parameter("_variance", variance);
}

bool BatchNorm::uses_batch() const {
  if (options_.use_global_stats) return false;
  return (training() && !options_.is_test) || options_.trainable_statistics;
}

Tensor BatchNorm::forward(const Tensor& x) {
  return with_name([&] {
    const bool channels_last = options_.data_format == DataFormat::NHWC && x.rank() == 4;
    const Tensor input = channels_last ? permute(x, {0, 3, 1, 2}) : x;
    Tensor y = normalize(input);
    if (channels_last) y = permute(y, {0, 2, 3, 1});
    return act_ && !fused_ ? act_(y) : y;
  });
}

Tensor BatchNorm::normalize(const Tensor& x) {
  if (!uses_batch()) return batch_norm_inference(x, mean, variance, weight, bias, options_.epsilon, fused_);
  BatchStatistics batch;
  Tensor y = batch_norm(x, weight, bias, options_.epsilon, &batch, fused_);
  if (x.num_elements() == 0) return y;  // nothing was seen
  update_moving(mean, batch.mean, options_.momentum);
  update_moving(variance, batch.variance, options_.momentum);
  return y;
}

}  // namespace dygrad
