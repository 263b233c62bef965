#include <dygrad/layers/linear.h>

#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/layers/base/detail/input_check.h>
#include <dygrad/layers/base/detail/options_check.h>

namespace dygrad {

namespace {

const Linear::Options& checked(const Linear::Options& o) {
  const detail::OptionsCheck check("Linear");
  check.at_least("input_dim", o.input_dim, 1);
  check.at_least("output_dim", o.output_dim, 1);
  check.weight_wanted(o.param_attr);
  check.floating(o.dtype);
  return o;
}

}  // namespace

Linear::Linear(Options options)
    : Layer({}, checked(options).dtype),
      options_(std::move(options)),
      act_(detail::OptionsCheck("Linear").activation(options_.act)) {
  const ParameterSpec specs[] = {{.shape = {options_.input_dim, options_.output_dim}, .attr = options_.param_attr},
                                 {.shape = {options_.output_dim}, .attr = options_.bias_attr, .is_bias = true}};
  const std::vector<Parameter> parameters = create_parameters(specs);
  weight = parameters[0];
  bias = parameters[1];
  register_parameter("weight", weight);
  register_parameter("bias", bias);
}

Tensor Linear::forward(const Tensor& x) {
  return with_name([&] {
    detail::check_defined("linear", "x", x);
    detail::check_defined("linear", "weight", weight);
    if (weight.rank() != 2) {
      throw ShapeError(Message("linear", "the weight is no matrix.")
                           .expected("shape [input_dim, output_dim]")
                           .got("{}", weight.shape())
                           .fix("assign a weight of shape [{}, {}]", options_.input_dim, options_.output_dim));
    }
    if (x.rank() < 1 || x.dim(-1) != weight.dim(0)) {
      throw ShapeError(Message("linear", "input does not fit the weight.")
                           .line("x {}", x.shape())
                           .line("w {}  (input_dim, output_dim)", weight.shape())
                           .expected("x.dim(-1) == {}", weight.dim(0))
                           .got("{}", x.rank() < 1 ? std::string("a tensor of rank 0") : fmt::format("{}", x.dim(-1)))
                           .fix("construct the layer with input_dim = x.dim(-1), or reshape x, as flatten(x, 1) does"));
    }
    detail::check_input_dtype("linear", x, weight);
    Tensor y = matmul(x, weight);
    if (bias.defined()) y = y + bias;
    return act_ ? act_(y) : y;
  });
}

}  // namespace dygrad
