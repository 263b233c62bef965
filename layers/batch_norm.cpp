#include <dygrad/layers/batch_norm.h>

#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/reduce/norm.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/layers/base/detail/input_check.h>
#include <dygrad/layers/base/detail/options_check.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/support/number_range.h>

namespace dygrad {

namespace {

const BatchNorm::Options& checked(const BatchNorm::Options& o) {
  const detail::OptionsCheck check("BatchNorm");
  check.at_least("num_channels", o.num_channels, 1);
  check.between("momentum", o.momentum, 0, 1);
  check.weight_wanted(o.param_attr);
  check.floating(o.dtype);
  if (!detail::is_positive_as(o.dtype, o.epsilon)) {
    check.fail("epsilon", fmt::format("epsilon > 0, finite, as {}", static_cast<DType>(o.dtype)),
               fmt::format("{}", o.epsilon));
  }
  return o;
}

void check_channels(const Tensor& x, const BatchNorm::Options& o) {
  if (x.rank() != 2 && x.rank() != 4) return;  // the op's error
  const bool channels_last = o.data_format == DataFormat::NHWC && x.rank() == 4;
  const int axis = channels_last ? 3 : 1, other = channels_last ? 1 : x.rank() - 1;
  if (x.dim(axis) == o.num_channels) return;
  const std::string remake = fmt::format("construct the layer with num_channels = {}", x.dim(axis));
  const std::string turn =
      fmt::format("construct the layer with data_format = \"{}\"", channels_last ? "NCHW" : "NHWC");
  throw ShapeError(Message("batch_norm", "x does not fit num_channels.")
                       .line("x {}, data_format {}", x.shape(), channels_last ? "NHWC" : "NCHW")
                       .expected("num_channels = {} in dimension {}", o.num_channels, axis)
                       .got("{}", x.dim(axis))
                       .fix("{}", x.dim(other) == o.num_channels ? turn : remake));
}

/// `moving` may have been replaced.
void check_statistics(std::string_view role, const Tensor& moving, const Tensor& x, const BatchNorm::Options& o) {
  if (moving.shape() != Shape{o.num_channels}) {
    throw ShapeError(Message("batch_norm", "{} does not fit num_channels.", role)
                         .expected("shape [{}]", o.num_channels)
                         .got("{}", moving.shape())
                         .fix("give one element per channel"));
  }
  if (moving.dtype() != x.dtype()) {
    throw DtypeError(Message("batch_norm", "{} has another dtype than x.", role)
                         .expected("{}", x.dtype())
                         .got("{}", moving.dtype())
                         .fix("convert one of them with to()"));
  }
}

/// moving = momentum * moving + (1 - momentum) * batch, for both or, if they do not fit, neither. What has no weight in
/// the sum is left out of it: 0 times infinity would be NaN.
void update_moving(Tensor mean, Tensor variance, const BatchStatistics& batch, double momentum) {
  dispatch_float(mean.dtype(), "batch_norm", [&]<class T>() {
    const auto mix = [momentum](std::span<T> to, std::span<const T> from) {
      if (momentum == 1) return;
      for (std::size_t i = 0; i < to.size(); ++i) {
        const double kept = momentum == 0 ? 0 : momentum * static_cast<double>(to[i]);
        to[i] = static_cast<T>(kept + (1 - momentum) * static_cast<double>(from[i]));
      }
    };
    const std::span<const T> new_mean = batch.mean.read<T>(), new_variance = batch.variance.read<T>();
    const std::span<T> old_mean = mean.write<T>(), old_variance = variance.write<T>();
    mix(old_mean, new_mean);
    mix(old_variance, new_variance);
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
    detail::check_defined("batch_norm", "x", x);
    detail::check_defined("batch_norm", "weight", weight);
    detail::check_defined("batch_norm", "mean", mean);
    detail::check_defined("batch_norm", "variance", variance);
    check_channels(x, options_);
    detail::check_input_dtype("batch_norm", x, weight);
    check_statistics("mean", mean, x, options_);
    check_statistics("variance", variance, x, options_);
    BatchStatistics batch;
    Tensor y = detail::in_nchw(x, options_.data_format, [&](const Tensor& image) { return normalize(image, batch); });
    if (act_ && !fused_) y = act_(y);
    // Last, so that a pass that fails leaves them; an empty batch shows nothing.
    if (batch.mean.defined() && x.num_elements() > 0) update_moving(mean, variance, batch, options_.momentum);
    return y;
  });
}

Tensor BatchNorm::normalize(const Tensor& x, BatchStatistics& batch) {
  if (!uses_batch()) return batch_norm_inference(x, mean, variance, weight, bias, options_.epsilon, fused_);
  return batch_norm(x, weight, bias, options_.epsilon, &batch, fused_);
}

}  // namespace dygrad
