#include <dygrad/layers/conv2d.h>

#include <cmath>
#include <utility>

#include <dygrad/layers/base/detail/options_check.h>
#include <dygrad/layers/init/distributions.h>

namespace dygrad {

namespace {

const Conv2D::Options& checked(const Conv2D::Options& o) {
  const detail::OptionsCheck check("Conv2D");
  check.at_least("num_channels", o.num_channels, 1);
  check.at_least("num_filters", o.num_filters, 1);
  check.at_least("filter_size", o.filter_size, 1);
  check.at_least("stride", o.stride, 1);
  check.not_negative(o.padding);
  check.at_least("dilation", o.dilation, 1);
  check.at_least("groups", o.groups, 1);
  check.divides(o.groups, "num_channels", o.num_channels);
  check.divides(o.groups, "num_filters", o.num_filters);
  check.weight_wanted(o.param_attr);
  check.floating(o.dtype);
  return o;
}

}  // namespace

Conv2D::Conv2D(Options options)
    : Layer({}, checked(options).dtype),
      options_(std::move(options)),
      op_{.stride = options_.stride,
          .padding = options_.padding,
          .dilation = options_.dilation,
          .groups = options_.groups,
          .data_format = options_.data_format,
          .activation = fused_activation(options_.act)},
      act_(detail::OptionsCheck("Conv2D").activation(options_.act)) {
  const Options& o = options_;
  // Paddle's rule: all channels count, not those of one group.
  const double fan_in =
      static_cast<double>(o.filter_size.h) * static_cast<double>(o.filter_size.w) * static_cast<double>(o.num_channels);
  const ParameterSpec specs[] = {{.shape = {o.num_filters, o.num_channels / o.groups, o.filter_size.h, o.filter_size.w},
                                  .attr = o.param_attr,
                                  .default_initializer = Normal{.scale = std::sqrt(2 / fan_in)}},
                                 {.shape = {o.num_filters}, .attr = o.bias_attr, .is_bias = true}};
  const std::vector<Parameter> parameters = create_parameters(specs);
  weight = parameters[0];
  bias = parameters[1];
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

Tensor Conv2D::forward(const Tensor& x) {
  return with_name([&] {
    const Tensor y = conv2d(x, weight, bias, op_);
    return act_ && !op_.activation ? act_(y) : y;
  });
}

}  // namespace dygrad
