#include <dygrad/layers/prelu.h>

#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/base/detail/input_check.h>
#include <dygrad/layers/base/detail/options_check.h>
#include <dygrad/layers/init/distributions.h>

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

void check_input(const Tensor& x, const PRelu::Options& o) {
  const auto fail = [&](const std::string& expected, const char* fix) {
    throw ShapeError(Message("prelu", "x does not fit mode \"{}\".", o.mode)
                         .expected("x of shape {}", expected)
                         .got("{}", x.shape())
                         .fix("{}", fix));
  };
  if (o.mode == "channel" && (x.rank() < 2 || x.shape()[1] != o.channel))
    fail(fmt::format("[N, {}, ...]", o.channel), "make the layer for as many channels");
  if (o.mode == "element") {
    Shape one = x.shape(), expected = o.input_shape;
    if (!one.empty()) one[0] = expected[0] = 1;
    if (one != expected) fail(fmt::format("{}, with any first extent", o.input_shape), "make the layer for that shape");
  }
}

/// The weight's, for x's rank.
Shape slope_shape(const Tensor& x, const PRelu::Options& o) {
  Shape shape = Shape::filled(x.rank(), 1);
  if (o.mode == "channel") shape[1] = o.channel;
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
  return with_name([&] {
    detail::check_defined("prelu", "x", x);
    detail::check_defined("prelu", "weight", weight);
    check_input(x, options_);
    detail::check_input_dtype("prelu", x, weight);
    if (const Shape expected = weight_shape(options_); weight.shape() != expected) {
      throw ShapeError(Message("prelu", "the weight does not fit mode \"{}\".", options_.mode)
                           .expected("shape {}", expected)
                           .got("{}", weight.shape())
                           .fix("assign a weight of that shape"));
    }
    // Broadcasting adds extents in front only, and would give a number a shape of [1].
    const bool fits = options_.mode == "channel" ? x.rank() == 4 : options_.mode == "element" || x.rank() > 0;
    const Tensor slope = fits ? static_cast<const Tensor&>(weight) : weight.reshape(slope_shape(x, options_));
    // The product sees no x that it does not belong to: 0 times infinity would be NaN in the weight's gradient.
    const Tensor is_positive = x > 0;
    return where(is_positive, x, slope * where(is_positive, zeros({}, x.dtype()), x));
  });
}

}  // namespace dygrad
