#include <dygrad/layers/conv2d.h>

#include <cmath>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/layers/base/detail/options_check.h>
#include <dygrad/layers/init/distributions.h>

namespace dygrad {

namespace {

const Conv2D::Options& checked(const Conv2D::Options& o) {
  detail::OptionsCheck("Conv2D").convolution(o);
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
    detail::check_defined("conv2d", "weight", weight);
    const Tensor y = conv2d(x, weight, bias, op_);
    return act_ && !op_.activation ? act_(y) : y;
  });
}

}  // namespace dygrad
