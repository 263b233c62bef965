#include <dygrad/autograd/ops/conv2d/conv2d.h>

#include <string>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/conv2d/detail/conv2d_problem.h>
#include <dygrad/autograd/ops/conv2d/detail/conv2d_resolve.h>
#include <dygrad/autograd/ops/elementwise/detail/fused_activation.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>

namespace dygrad {

namespace {

using Kernel = std::array<std::int64_t, 2>;

// Shapes of conv2d_transpose(x, w) = y that follow from the other two operands.
Shape y_shape(const Conv2DParams& p, const Shape& x, const Shape& w) {
  std::int64_t filters = 0;
  if (__builtin_mul_overflow(w[1], p.groups, &filters)) filters = 0;  // fits nothing, as the checks will say
  return {x[0], filters, p.output_extent[0], p.output_extent[1]};
}
Shape x_shape(const Conv2DParams& p, const Shape& y, const Shape& w) {
  return {y[0], w[0], p.input_extent[0], p.input_extent[1]};
}
Shape w_shape(const Conv2DParams& p, const Shape& x, const Shape& y, const Kernel& kernel) {
  return {x[1], p.groups >= 1 ? y[1] / p.groups : 0, kernel[0], kernel[1]};
}

// Note [Adjoints of convolution]
// <conv2d_transpose(x, w), y> is linear in x, w and y; the transposed convolution, the ordinary convolution and the
// gradient of the weights are its three partial derivatives. So each vjp consists of the other two ops, and any order
// of derivative exists. An empty batch never reaches a backend.

using Kind = Problem::Kind;

/// One of the three, of two operands in the order x, w, y.
template <Kind kKind>
struct Convolution {
  static constexpr bool kGivesY = kKind == Kind::conv2d_transpose, kGivesX = kKind == Kind::conv2d;
  static constexpr std::string_view name = kGivesY ? "conv2d_transpose" : kGivesX ? "conv2d" : "conv2d_weights";
  Conv2DParams p;
  Kernel kernel;
  MathMode math_mode;  // of the forward pass; derivatives follow it

  Tensor forward(const Tensor& a, const Tensor& b, const FusedActivation& activation = {},
                 const Tensor& bias = {}) const {
    const Shape x = kGivesX ? x_shape(p, a.shape(), b.shape()) : a.shape();
    const Shape w = kGivesX || kGivesY ? b.shape() : w_shape(p, a.shape(), b.shape(), kernel);
    const Shape y = kGivesY ? y_shape(p, a.shape(), b.shape()) : kGivesX ? a.shape() : b.shape();
    const Shape& result = kGivesY ? y : kGivesX ? x : w;
    if (num_elements(kGivesY ? y : x) == 0) return zeros(result, a.dtype());
    return detail::with_conv2d_problem(p, x, w, y, [&] {
      return compute({kKind, a.dtype(), &p, x, w, y, math_mode}, a, b, {bias, activation});
    });
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0, need[1]) | save_input(1, need[0]); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const {
    return {need[0] ? first_grad(g, saved) : Tensor(), need[1] ? second_grad(g, saved) : Tensor()};
  }

 private:
  template <Kind kOther>
  Tensor other(const Tensor& a, const Tensor& b) const {
    return apply(Convolution<kOther>{p, kernel, math_mode}, a, b);
  }
  Tensor first_grad(const Tensor& g, const Saved& saved) const {
    if constexpr (kGivesY) return other<Kind::conv2d>(g, saved[1]);
    else if constexpr (kGivesX) return other<Kind::conv2d_transpose>(g, saved[1]);
    else return other<Kind::conv2d>(saved[1], g);
  }
  Tensor second_grad(const Tensor& g, const Saved& saved) const {
    if constexpr (kGivesY) return other<Kind::conv2d_weights>(saved[0], g);
    else if constexpr (kGivesX) return other<Kind::conv2d_weights>(g, saved[0]);
    else return other<Kind::conv2d_transpose>(saved[0], g);
  }
};
using ConvolutionTranspose = Convolution<Kind::conv2d_transpose>;
using OrdinaryConvolution = Convolution<Kind::conv2d>;
using WeightsGradient = Convolution<Kind::conv2d_weights>;

/// activation(Op(x, w) + b per channel). Its vjp is Op's and a sum.
template <class Op>
struct Biased {
  static constexpr std::string_view name = Op::name;
  Op op;
  Tensor forward(const Tensor& x, const Tensor& w, const Tensor& b, const FusedActivation& activation = {}) const {
    return op.forward(x, w, activation, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return Op::save_for_backward(need); }
  Grads<3> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const {
    Grads<2> grads = op.vjp(g, saved, need);
    return {std::move(grads[0]), std::move(grads[1]), need[2] ? sum(g, {0, 2, 3}) : Tensor()};
  }
};

/// Throws DtypeError unless the operands have one floating dtype. `b` may be undefined.
void check_dtypes(std::string_view op, std::string_view first, const Tensor& x, std::string_view second,
                  const Tensor& w, const Tensor& b = {}) {
  detail::check_defined(op, first, x);
  detail::check_defined(op, second, w);
  if (x.dtype() != w.dtype() || (b.defined() && b.dtype() != x.dtype())) {
    // A layer has made the others: what differs is the input, as a rule.
    std::string fix;
    if (!is_floating(w.dtype()) && !is_floating(x.dtype())) fix = "convert both: to(dygrad::float32)";
    else if (!is_floating(w.dtype())) fix = fmt::format("convert {}: {}.to(dygrad::{})", second, second, x.dtype());
    else if (x.dtype() == w.dtype()) fix = fmt::format("convert the bias: b.to(dygrad::{})", x.dtype());
    else if (!is_floating(x.dtype())) fix = fmt::format("convert the input: {}.to(dygrad::{})", first, w.dtype());
    else
      fix = fmt::format("convert the input: {}.to(dygrad::{}), or construct the layer with dtype = \"{}\"", first,
                        w.dtype(), x.dtype());
    throw DtypeError(Message(op, "the operands have different dtypes.")
                         .expected("one dtype, float32 or float64")
                         .got("{} {}, {} {}{}{}", first, x.dtype(), second, w.dtype(), b.defined() ? ", bias " : "",
                              b.defined() ? name_of(b.dtype()) : "")
                         .fix("{}", fix));
  }
  if (!is_floating(x.dtype())) detail::fail_not_floating(op, x.dtype());
}

void check_bias(std::string_view op, const Tensor& b, std::int64_t filters) {
  if (b.defined() && b.shape() != Shape(filters)) {
    throw ShapeError(Message(op, "the bias does not fit the output.")
                         .expected("b [{}], one number per output channel", filters)
                         .got("{}", b.shape())
                         .fix("give one number per output channel, or no bias"));
  }
}

void check_rank(std::string_view op, std::string_view role, const Tensor& x) {
  if (x.rank() != 4) {
    throw ShapeError(Message(op, "an operand has the wrong rank.")
                         .expected("{} of rank 4", role)
                         .got("{}", x.shape())
                         .fix("reshape it"));
  }
}

/// The image as logical NCHW; for NHWC a view whose strides are channels-last.
Tensor to_nchw(const Tensor& x, DataFormat format) {
  return format == DataFormat::NHWC && x.rank() == 4 ? permute(x, {0, 3, 1, 2}) : x;
}
Tensor from_nchw(const Tensor& y, DataFormat format) {
  return format == DataFormat::NHWC ? permute(y, {0, 2, 3, 1}) : y;
}

template <class Op>
Tensor apply_with(const FusedActivation& activation, Op op, const Tensor& x, const Tensor& w, const Tensor& b) {
  return b.defined() ? detail::apply_activated(Biased<Op>{std::move(op)}, activation, x, w, b)
                     : detail::apply_activated(std::move(op), activation, x, w);
}

Kernel kernel_of(const Tensor& w) { return {w.shape()[2], w.shape()[3]}; }

}  // namespace

Tensor conv2d_transpose(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2DTransposeOptions& options) {
  check_dtypes("conv2d_transpose", "x", x, "w", w, b);
  const Tensor image = to_nchw(x, options.data_format);
  const Conv2DParams p = infer_conv2d_transpose_params(options, image.shape(), w.shape());
  detail::check_activation("conv2d_transpose", options.activation, x.dtype());
  check_bias("conv2d_transpose", b, w.shape()[1] * p.groups);
  detail::check_result_size("conv2d_transpose", p, x.shape(), w.shape(), y_shape(p, image.shape(), w.shape()),
                            x.dtype());
  const ConvolutionTranspose op{p, kernel_of(w), execution_context().math_mode};
  return from_nchw(apply_with(options.activation, op, image, w, b), options.data_format);
}

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2DOptions& options) {
  check_dtypes("conv2d", "x", x, "w", w, b);
  const Tensor image = to_nchw(x, options.data_format);
  const Conv2DParams p = detail::infer_conv2d_params(options, image.shape(), w.shape());
  detail::check_activation("conv2d", options.activation, x.dtype());
  check_bias("conv2d", b, w.shape()[0]);
  detail::check_result_size("conv2d", p, x.shape(), w.shape(), x_shape(p, image.shape(), w.shape()), x.dtype());
  const OrdinaryConvolution op{p, kernel_of(w), execution_context().math_mode};
  return from_nchw(apply_with(options.activation, op, image, w, b), options.data_format);
}

Tensor explicit_conv2d_transpose(const Tensor& x, const Tensor& w, const Conv2DParams& p) {
  check_dtypes(ConvolutionTranspose::name, "x", x, "w", w);
  check_rank(ConvolutionTranspose::name, "x", x);
  check_rank(ConvolutionTranspose::name, "w", w);
  detail::check_problem(ConvolutionTranspose::name, p, x.shape(), w.shape(), y_shape(p, x.shape(), w.shape()));
  return apply(ConvolutionTranspose{p, kernel_of(w), execution_context().math_mode}, x, w);
}

Tensor explicit_conv2d(const Tensor& g, const Tensor& w, const Conv2DParams& p) {
  check_dtypes(OrdinaryConvolution::name, "g", g, "w", w);
  check_rank(OrdinaryConvolution::name, "g", g);
  check_rank(OrdinaryConvolution::name, "w", w);
  detail::check_problem(OrdinaryConvolution::name, p, x_shape(p, g.shape(), w.shape()), w.shape(), g.shape());
  return apply(OrdinaryConvolution{p, kernel_of(w), execution_context().math_mode}, g, w);
}

Tensor conv2d_weights(const Tensor& x, const Tensor& g, const Conv2DParams& p, std::array<std::int64_t, 2> kernel) {
  check_dtypes(WeightsGradient::name, "x", x, "g", g);
  check_rank(WeightsGradient::name, "x", x);
  check_rank(WeightsGradient::name, "g", g);
  const Shape w = w_shape(p, x.shape(), g.shape(), kernel);
  detail::check_problem(WeightsGradient::name, p, x.shape(), w, g.shape());
  return apply(WeightsGradient{p, kernel, execution_context().math_mode}, x, g);
}

}  // namespace dygrad
