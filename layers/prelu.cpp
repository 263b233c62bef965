#include <dygrad/layers/prelu.h>

#include <utility>

#include <dygrad/autograd/ops/activation.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/core/message.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/options_check.h>

namespace dygrad {

namespace {

const PRelu::Options& checked(const PRelu::Options& o) {
  const detail::OptionsCheck check("PRelu");
  if (o.mode != "all" && o.mode != "channel" && o.mode != "element") {
    check.fail("mode", "\"all\", \"channel\" or \"element\"", fmt::format("\"{}\"", o.mode));
  }
  if (o.mode == "channel") check.at_least("channel", o.channel, 1);
  if (o.mode == "element") check.at_least("input_shape's rank", o.input_shape.rank(), 1);
  check.weight_wanted(o.param_attr);
  check.floating(o.dtype);
  return o;
}

Shape weight_shape(const PRelu::Options& o) {
  if (o.mode == "all") return {1};
  if (o.mode == "channel") return {1, o.channel, 1, 1};
  Shape shape = o.input_shape;
  shape[0] = 1;
  return shape;
}

}  // namespace

PRelu::PRelu() : PRelu(Options{}) {}

PRelu::PRelu(Options options) : Layer({}, checked(options).dtype), options_(std::move(options)) {
  weight = create_parameter(
      {.shape = weight_shape(options_), .attr = options_.param_attr, .default_initializer = Constant{.value = 1}});
  register_parameter("weight", weight);
}

Tensor PRelu::forward(const Tensor& x) {
  return with_name([&] { return relu(x) - weight * relu(-x); });
}

}  // namespace dygrad
