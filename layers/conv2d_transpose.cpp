#include <dygrad/layers/conv2d_transpose.h>

#include <algorithm>
#include <array>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/layers/base/detail/options_check.h>

namespace dygrad {

namespace {

const Conv2DTranspose::Options& checked(const Conv2DTranspose::Options& o) {
  const detail::OptionsCheck check("Conv2DTranspose");
  check.convolution(o);
  if (o.output_size.has_value()) check.at_least("output_size", *o.output_size, 1);
  check.at_least("output_padding", o.output_padding, 0);
  const Pair limit{std::max(o.stride.h, o.dilation.h), std::max(o.stride.w, o.dilation.w)};
  if (o.output_padding.h >= limit.h || o.output_padding.w >= limit.w) {
    check.fail("output_padding", fmt::format("less than max(stride, dilation) = ({}, {})", limit.h, limit.w),
               fmt::format("({}, {})", o.output_padding.h, o.output_padding.w));
  }
  if (o.output_size.has_value() && o.output_padding != Pair(0)) {
    throw InvalidArgument(Message("Conv2DTranspose", "output_size and output_padding are both given.")
                              .expected("one of them")
                              .got("output_size ({}, {}) and output_padding ({}, {})", (*o.output_size).h,
                                   (*o.output_size).w, o.output_padding.h, o.output_padding.w)
                              .fix("leave out output_padding: output_size says it all"));
  }
  return o;
}

}  // namespace

Conv2DTranspose::Conv2DTranspose(Options options)
    : Layer({}, checked(options).dtype),
      options_(std::move(options)),
      op_{.stride = options_.stride,
          .padding = options_.padding,
          .output_padding = options_.output_padding,
          .dilation = options_.dilation,
          .groups = options_.groups,
          .output_size = options_.output_size,
          .data_format = options_.data_format,
          .activation = fused_activation(options_.act)},
      act_(detail::OptionsCheck("Conv2DTranspose").activation(options_.act)) {
  const Options& o = options_;
  const ParameterSpec specs[] = {
      {.shape = {o.num_channels, o.num_filters / o.groups, o.filter_size.h, o.filter_size.w}, .attr = o.param_attr},
      {.shape = {o.num_filters}, .attr = o.bias_attr, .is_bias = true}};
  const std::vector<Parameter> parameters = create_parameters(specs);
  weight = parameters[0];
  bias = parameters[1];
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

Tensor Conv2DTranspose::forward(const Tensor& x) { return run(x, op_); }

Tensor Conv2DTranspose::forward(const Tensor& x, OutputSize output_size) {
  if (!output_size.has_value()) return forward(x);
  Conv2DTransposeOptions op = op_;
  op.output_size = output_size;
  op.output_padding = 0;
  return run(x, op);
}

Tensor Conv2DTranspose::operator()(const Tensor& x, OutputSize output_size) {
  return call(x, [&](const Tensor& input) { return forward(input, output_size); });
}

Tensor Conv2DTranspose::run(const Tensor& x, const Conv2DTransposeOptions& op) {
  return with_name([&] {
    detail::check_defined("conv2d_transpose", "weight", weight);
    const Tensor y = conv2d_transpose(x, weight, bias, op);
    return act_ && !op.activation ? act_(y) : y;
  });
}

}  // namespace dygrad
