#include <dygrad/autograd/ops/conv2d.h>

#include <string>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/conv2d_problem.h>
#include <dygrad/autograd/ops/conv2d_resolve.h>
#include <dygrad/autograd/ops/fused_activation.h>
#include <dygrad/autograd/ops/reduce.h>
#include <dygrad/autograd/ops/shape.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {

using Kernel = std::array<std::int64_t, 2>;

// Shapes of D(x, w) = y that follow from the other two operands.
Shape y_shape(const Conv2DParams& p, const Shape& x, const Shape& w) {
  std::int64_t filters = 0;
  if (__builtin_mul_overflow(w[1], p.groups, &filters)) filters = 0;  // fits nothing, as the checks will say
  return {x[0], filters, p.output_extent[0], p.output_extent[1]};
}
Shape x_shape(const Conv2DParams& p, const Shape& y, const Shape& w) {
  return {y[0], w[0], p.input_extent[0], p.input_extent[1]};
}

// Note [The family is closed]
// T(x, w, g) = <D(x, w), g> is linear in each argument; D, B and W are its three partial derivatives. So each vjp below
// consists of the other two ops, and any order of derivative exists. An empty batch never reaches a backend.

struct Deconv2D {
  static constexpr std::string_view name = "deconv2d";
  Conv2DParams p;
  Kernel kernel;
  Compute precision;  // of the forward pass; derivatives follow it
  Tensor forward(const Tensor& x, const Tensor& w, const FusedActivation& activation = {},
                 const Tensor& bias = {}) const {
    const Shape y = y_shape(p, x.shape(), w.shape());
    if (num_elements(y) == 0) return Tensor::empty(y, x.dtype());
    return detail::with_conv2d_problem(p, x.shape(), w.shape(), y, [&] {
      return dygrad::compute({Problem::Kind::deconv2d, x.dtype(), &p, x.shape(), w.shape(), y, precision}, x, w,
                             {bias, activation});
    });
  }
  static Keep keep(Need need) { return keep_input(0, need[1]) | keep_input(1, need[0]); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, Need need) const;
};

struct Deconv2DData {
  static constexpr std::string_view name = "deconv2d_data";
  Conv2DParams p;
  Kernel kernel;
  Compute precision;  // of the forward pass; derivatives follow it
  Tensor forward(const Tensor& g, const Tensor& w, const FusedActivation& activation = {},
                 const Tensor& bias = {}) const {
    const Shape x = x_shape(p, g.shape(), w.shape());
    if (num_elements(x) == 0) return Tensor::empty(x, g.dtype());
    return detail::with_conv2d_problem(p, x, w.shape(), g.shape(), [&] {
      return dygrad::compute({Problem::Kind::deconv2d_data, g.dtype(), &p, x, w.shape(), g.shape(), precision}, g, w,
                             {bias, activation});
    });
  }
  static Keep keep(Need need) { return keep_input(0, need[1]) | keep_input(1, need[0]); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, Need need) const;
};

struct Deconv2DWeights {
  static constexpr std::string_view name = "deconv2d_weights";
  Conv2DParams p;
  Kernel kernel;
  Compute precision;  // of the forward pass; derivatives follow it
  Tensor forward(const Tensor& x, const Tensor& g) const {
    const Shape w{x.shape()[1], g.shape()[1] / p.groups, kernel[0], kernel[1]};
    if (x.num_elements() == 0) return zeros(w, x.dtype());
    return detail::with_conv2d_problem(p, x.shape(), w, g.shape(), [&] {
      return dygrad::compute({Problem::Kind::deconv2d_weights, x.dtype(), &p, x.shape(), w, g.shape(), precision}, x,
                             g);
    });
  }
  static Keep keep(Need need) { return keep_input(0, need[1]) | keep_input(1, need[0]); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, Need need) const;
};

Grads<2> Deconv2D::vjp(const Tensor& g, const Saved& saved, Need need) const {
  return {need[0] ? apply(Deconv2DData{p, kernel, precision}, g, saved[1]) : Tensor(),
          need[1] ? apply(Deconv2DWeights{p, kernel, precision}, saved[0], g) : Tensor()};
}

Grads<2> Deconv2DData::vjp(const Tensor& g, const Saved& saved, Need need) const {
  return {need[0] ? apply(Deconv2D{p, kernel, precision}, g, saved[1]) : Tensor(),
          need[1] ? apply(Deconv2DWeights{p, kernel, precision}, g, saved[0]) : Tensor()};
}

Grads<2> Deconv2DWeights::vjp(const Tensor& g, const Saved& saved, Need need) const {
  return {need[0] ? apply(Deconv2DData{p, kernel, precision}, saved[1], g) : Tensor(),
          need[1] ? apply(Deconv2D{p, kernel, precision}, saved[0], g) : Tensor()};
}

/// activation(Op(x, w) + b per channel). Its vjp is Op's and a sum.
template <class Op>
struct Biased {
  static constexpr std::string_view name = Op::name;
  Op op;
  Tensor forward(const Tensor& x, const Tensor& w, const Tensor& b, const FusedActivation& activation = {}) const {
    return op.forward(x, w, activation, b);
  }
  static Keep keep(Need need) { return Op::keep(need); }
  Grads<3> vjp(const Tensor& g, const Saved& saved, Need need) const {
    Grads<2> grads = op.vjp(g, saved, need);
    return {std::move(grads[0]), std::move(grads[1]), need[2] ? sum(g, {0, 2, 3}) : Tensor()};
  }
};

/// Throws DtypeError unless the operands have one floating dtype. `b` may be undefined.
void check_dtypes(std::string_view op, std::string_view first, const Tensor& x, std::string_view second,
                  const Tensor& w, const Tensor& b = {}) {
  if (x.dtype() != w.dtype() || (b.defined() && b.dtype() != x.dtype())) {
    // A layer has made the others: what differs is the input, as a rule.
    std::string fix;
    if (!is_floating(w.dtype())) fix = fmt::format("convert {}: {}.to(dygrad::{})", second, second, x.dtype());
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
  const Conv2DParams p = resolve(options, image.shape(), w.shape());
  detail::check_activation("conv2d_transpose", options.activation, x.dtype());
  check_bias("conv2d_transpose", b, w.shape()[1] * p.groups);
  detail::check_result_size("conv2d_transpose", p, x.shape(), w.shape(), y_shape(p, image.shape(), w.shape()),
                            x.dtype());
  return detail::with_op_name("conv2d_transpose", Deconv2D::name, [&] {
    return from_nchw(
        apply_with(options.activation, Deconv2D{p, kernel_of(w), execution_context().compute}, image, w, b),
        options.data_format);
  });
}

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2DOptions& options) {
  check_dtypes("conv2d", "x", x, "w", w, b);
  const Tensor image = to_nchw(x, options.data_format);
  const Conv2DParams p = detail::resolve_conv2d(options, image.shape(), w.shape());
  detail::check_activation("conv2d", options.activation, x.dtype());
  check_bias("conv2d", b, w.shape()[0]);
  detail::check_result_size("conv2d", p, x.shape(), w.shape(), x_shape(p, image.shape(), w.shape()), x.dtype());
  return detail::with_op_name("conv2d", Deconv2DData::name, [&] {
    return from_nchw(
        apply_with(options.activation, Deconv2DData{p, kernel_of(w), execution_context().compute}, image, w, b),
        options.data_format);
  });
}

Tensor deconv2d(const Tensor& x, const Tensor& w, const Conv2DParams& p) {
  check_dtypes(Deconv2D::name, "x", x, "w", w);
  check_rank(Deconv2D::name, "x", x);
  check_rank(Deconv2D::name, "w", w);
  detail::check_problem(Deconv2D::name, p, x.shape(), w.shape(), y_shape(p, x.shape(), w.shape()));
  return apply(Deconv2D{p, kernel_of(w), execution_context().compute}, x, w);
}

Tensor deconv2d_data(const Tensor& g, const Tensor& w, const Conv2DParams& p) {
  check_dtypes(Deconv2DData::name, "g", g, "w", w);
  check_rank(Deconv2DData::name, "g", g);
  check_rank(Deconv2DData::name, "w", w);
  detail::check_problem(Deconv2DData::name, p, x_shape(p, g.shape(), w.shape()), w.shape(), g.shape());
  return apply(Deconv2DData{p, kernel_of(w), execution_context().compute}, g, w);
}

Tensor deconv2d_weights(const Tensor& x, const Tensor& g, const Conv2DParams& p, std::array<std::int64_t, 2> kernel) {
  check_dtypes(Deconv2DWeights::name, "x", x, "g", g);
  check_rank(Deconv2DWeights::name, "x", x);
  check_rank(Deconv2DWeights::name, "g", g);
  const Shape w{x.shape()[1], p.groups >= 1 ? g.shape()[1] / p.groups : 0, kernel[0], kernel[1]};
  detail::check_problem(Deconv2DWeights::name, p, x.shape(), w, g.shape());
  return apply(Deconv2DWeights{p, kernel, execution_context().compute}, x, g);
}

}  // namespace dygrad
