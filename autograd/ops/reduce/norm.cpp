#include <dygrad/autograd/ops/reduce/norm.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/detail/fused_activation.h>
#include <dygrad/autograd/ops/elementwise/detail/number_check.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/activate.h>
#include <dygrad/core/kernels/channel_sums.h>
#include <dygrad/core/kernels/channelwise.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/donation.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

/// All dimensions but the channels.
Axes pixel_axes(const Tensor& x) { return x.rank() == 2 ? Axes{0} : Axes{0, 2, 3}; }

/// [C] as [1, C] or [1, C, 1, 1], ready to broadcast.
Shape channel_shape(const Tensor& x) { return kernel::reduced_shape(x.shape(), pixel_axes(x)); }
Tensor per_channel(const Tensor& values, const Tensor& x) { return reshape(values, channel_shape(x)); }

/// x in one of the two dense orders.
Tensor dense(const Tensor& x) { return x.is_contiguous(MemoryFormat::channels_last) ? x : kernel::contiguous(x); }
/// t in the order of x, which is dense.
Tensor dense_like(const Tensor& t, const Tensor& x) {
  return kernel::contiguous(t, x.is_contiguous() ? MemoryFormat::row_major : MemoryFormat::channels_last);
}

/// activation((x - mean) * factor + shift) per channel.
Tensor scale_and_shift(const Tensor& x, const Tensor& mean, const Tensor& factor, const Tensor& shift,
                       const FusedActivation& activation) {
  const Tensor source = dense(x);
  Tensor y = kernel::empty_like(source, source.dtype());
  dispatch_float(x.dtype(), "batch_norm", [&]<class T>() {
    kernel::with_values(activation, [&](auto f) {
      kernel::map_channels<T, 1, 3>([f](T v, T m, T a, T s) { return static_cast<T>(f.forward((v - m) * a + s)); }, y,
                                    {source.data<T>()}, {mean.data<T>(), factor.data<T>(), shift.data<T>()});
    });
  });
  return y;
}

// Note [Variances out of range]
// Squares of distances may overflow, or underflow where epsilon is as small, though 1 / deviation is in range. For a
// channel whose variance + epsilon is not a normal number the deviation is computed from distances scaled by a power of
// two. A recorded pass scales all channels as soon as the cube of one 1 / deviation might overflow.

/// [C]: the power of two that scales `sizes` [C] into [1, 2); 1 where none does.
Tensor power_of_two_scale(const Tensor& sizes) {
  return kernel::map(
      "batch_norm",
      []<class T>(T size) {
        constexpr int kLargest = std::numeric_limits<T>::max_exponent - 2;
        if (!(size > 0 && size <= std::numeric_limits<T>::max())) return T{1};
        return std::ldexp(T{1}, std::clamp(-std::ilogb(size), -kLargest, kLargest));
      },
      sizes);
}

/// True if f holds for an element of a dense tensor.
template <class F>
bool any_of_values(const Tensor& values, const F& f) {
  return dispatch_float(values.dtype(), "batch_norm", [&]<class T>() {
    const T* const data = values.data<T>();
    return std::any_of(data, data + values.num_elements(), f);
  });
}

template <class F>
bool all_of_values(const Tensor& values, const F& f) {
  return !any_of_values(values, [&f](auto v) { return !f(v); });
}

/// Of x's own batch. Inputs x, scale, shift.
struct BatchNorm {
  static constexpr std::string_view name = "batch_norm";
  double epsilon;
  BatchStatistics* statistics;           // filled by forward, if wanted; not looked at later
  Tensor mean, rest, inverse_deviation;  // [C], set by forward; the batch's mean is mean + rest, see channel_moments

  double count(const Tensor& x) const {
    return static_cast<double>(x.num_elements()) / static_cast<double>(x.shape()[1]);
  }

  Tensor forward(const Tensor& x, const Tensor& scale, const Tensor& shift, const FusedActivation& activation = {}) {
    const Tensor source = dense(x);
    const auto [average, squares] = kernel::channel_moments(source, &rest);
    mean = average;
    const Tensor variance = squares;
    divide(variance, count(x));
    inverse_deviation = kernel::map(
        name,
        [eps = epsilon](auto v) {
          using T = decltype(v);
          return T{1} / std::sqrt(v + static_cast<T>(eps));
        },
        variance);
    const auto is_out_of_range = [eps = epsilon](auto v) { return !std::isnormal(v + static_cast<decltype(v)>(eps)); };
    if (any_of_values(variance, is_out_of_range)) set_extreme_deviations(source, variance);
    if (statistics) *statistics = {kernel::clone(mean), variance};
    const Tensor factor = product(inverse_deviation, scale);
    if (is_lost(factor, scale)) {  // in two steps, each of which is in range
      const Tensor none = zeros(mean.shape(), mean.dtype());
      const Tensor h =
          scale_and_shift(source, mean, inverse_deviation, less_product(none, rest, inverse_deviation), {});
      return scale_and_shift(h, none, scale, shift, activation);
    }
    return scale_and_shift(source, mean, factor, less_product(shift, rest, factor), activation);
  }

  /// See Note [Variances out of range].
  void set_extreme_deviations(const Tensor& x, const Tensor& variance) {
    if (x.num_elements() == 0) return;
    const Axes axes = pixel_axes(x);
    const auto per_pixel = [&](const Tensor& values) {
      return view::expand(*view::reshape(values, channel_shape(x)), x.shape());
    };
    const auto channels = [&](const Tensor& reduced) { return *view::reshape(reduced, mean.shape()); };
    const Tensor distances = kernel::map(
        name, [](auto v, auto m, auto r) { return v - m - r; }, x, per_pixel(mean), per_pixel(rest));
    const Tensor sizes = kernel::map(
        name, [](auto v) { return std::abs(v); }, distances);
    const Tensor scales = power_of_two_scale(channels(kernel::reduce_max(sizes, axes)));
    const Tensor squares = kernel::map(
        name, [](auto v, auto scale) { return (v * scale) * (v * scale); }, distances, per_pixel(scales));
    const Tensor scaled = channels(kernel::reduce_sum(squares, axes));
    divide(scaled, count(x));
    const Tensor deviations = kernel::map(
        name,
        [eps = std::sqrt(epsilon)](auto v, auto scale) {
          return std::hypot(std::sqrt(v), static_cast<decltype(v)>(eps) * scale);
        },
        scaled, scales);
    dispatch_float(x.dtype(), name, [&]<class T>() {
      T* const inverse = inverse_deviation.mutable_data<T>();
      for (std::int64_t c = 0; c < mean.num_elements(); ++c) {
        if (std::isnormal(variance.data<T>()[c] + static_cast<T>(epsilon))) continue;
        inverse[c] = scales.data<T>()[c] / deviations.data<T>()[c];
      }
    });
  }

  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_input(1); }

  // Note [Fused and recorded gradients]
  // A pass that records gets the gradient as a formula in x, so that it can be differentiated again. Any other pass
  // gets the same values from fused kernels, in a third of the time.
  Grads<3> vjp(Tensor g, const Saved& saved, NeedsGrad need) const {
    return is_grad_enabled() ? recorded(g, saved[0], saved[1], need) : fused(g, saved[0], saved[1], need);
  }

  // With h = (x - mean) / deviation and averages over a channel:
  //   dx = scale / deviation * (g - average(g) - h * average(g h))
  Grads<3> recorded(const Tensor& g, const Tensor& x, const Tensor& scale, NeedsGrad need) const {
    const Axes axes = pixel_axes(x);
    const Tensor rough = x - per_channel(mean, x);
    Tensor distance = rough - dygrad::mean(rough, axes, true);
    Tensor inverse, h;
    // See Note [Variances out of range].
    const bool is_extreme = any_of_values(inverse_deviation, []<class T>(T v) {
      constexpr int kFifth = std::numeric_limits<T>::max_exponent / 5;
      return v < std::ldexp(T{1}, -kFifth) || v > std::ldexp(T{1}, kFifth);
    });
    if (is_extreme) {
      const Tensor scales = per_channel(power_of_two_scale(reciprocal(inverse_deviation)), x);
      distance = distance * scales;
      const Tensor variance = dygrad::mean(square(distance), axes, true);
      const Tensor scaled_inverse = rsqrt(variance + scales * epsilon * scales);
      inverse = scaled_inverse * scales;
      h = distance * scaled_inverse;
    } else {
      inverse = rsqrt(dygrad::mean(square(distance), axes, true) + epsilon);
      h = distance * inverse;
    }
    Grads<3> grads;
    if (need[0]) {
      const Tensor gs = g * per_channel(scale, x);
      grads[0] = inverse * (gs - dygrad::mean(gs, axes, true) - h * dygrad::mean(gs * h, axes, true));
    }
    if (need[1]) grads[1] = sum(g * h, axes);
    if (need[2]) grads[2] = sum(g, axes);
    return grads;
  }

  Grads<3> fused(const Tensor& g, const Tensor& x, const Tensor& scale, NeedsGrad need) const {
    const bool is_free = kernel::is_donatable(g);  // see Note [Donated gradients]
    const Tensor source = dense(x), cotangent = dense_like(g, source);
    const auto [g_sum, distances] = kernel::channel_products(cotangent, source, mean);
    const Tensor gh_sum = x.num_elements() == 0 ? distances  // not 0 * NaN
                                                : product(less_product(distances, rest, g_sum), inverse_deviation);
    const auto is_finite = []<class T>(T v) { return std::isfinite(v); };
    const Tensor factor = product(inverse_deviation, scale);
    const bool overflows = !all_of_values(g_sum, is_finite) || !all_of_values(gh_sum, is_finite);
    if (x.num_elements() > 0 && (overflows || is_lost(factor, scale))) return recorded(g, x, scale, need);
    Grads<3> grads;
    if (need[0]) {
      const Tensor g_average = kernel::clone(g_sum), gh_scaled = product(gh_sum, inverse_deviation);
      divide(g_average, count(x));
      divide(gh_scaled, count(x));
      const Tensor g_mean = less_product(g_average, rest, gh_scaled);
      grads[0] = is_free ? cotangent : kernel::empty_like(source, source.dtype());
      dispatch_float(x.dtype(), name, [&]<class T>() {
        kernel::map_channels<T, 2, 4>(
            [](T v, T c, T m, T a, T average, T b) { return a * (c - average - (v - m) * b); }, grads[0],
            {source.data<T>(), cotangent.data<T>()},
            {mean.data<T>(), factor.data<T>(), g_mean.data<T>(), gh_scaled.data<T>()});
      });
    }
    if (need[1]) grads[1] = gh_sum;
    if (need[2]) grads[2] = g_sum;
    return grads;
  }

  /// Whether 1 / deviation times scale left the range of normal numbers.
  static bool is_lost(const Tensor& factor, const Tensor& scale) {
    const Tensor scales = kernel::contiguous(scale);
    return dispatch_float(factor.dtype(), name, [&]<class T>() {
      const T *const f = factor.data<T>(), *const s = scales.data<T>();
      for (std::int64_t c = 0; c < factor.num_elements(); ++c) {
        if (!std::isnormal(f[c]) && s[c] != 0) return true;
      }
      return false;
    });
  }
  static void divide(const Tensor& values, double by) {
    dispatch_float(values.dtype(), name, [&]<class T>() {
      kernel::map_into<T, T>([d = static_cast<T>(by)](T v) { return v / d; }, values, values);
    });
  }
  /// a - b c
  static Tensor less_product(const Tensor& a, const Tensor& b, const Tensor& c) {
    return kernel::map(
        name, [](auto u, auto v, auto w) { return u - v * w; }, kernel::contiguous(a), b, c);
  }
  static Tensor product(const Tensor& a, const Tensor& b) {
    return kernel::map(
        name, [](auto u, auto v) { return u * v; }, a, kernel::contiguous(b));
  }
};

/// (x - mean) * factor + shift with constant mean. Inputs x, factor, shift.
struct BatchNormInference {
  static constexpr std::string_view name = "batch_norm_inference";
  Tensor mean;  // [C]
  Tensor forward(const Tensor& x, const Tensor& factor, const Tensor& shift,
                 const FusedActivation& activation = {}) const {
    return scale_and_shift(x, mean, kernel::contiguous(factor), kernel::contiguous(shift), activation);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0, need[1]) | save_input(1, need[0]); }
  Grads<3> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const {
    Grads<3> grads;
    if (need[0]) grads[0] = g * per_channel(saved[1], g);
    if (need[1]) grads[1] = sum(g * (saved[0] - per_channel(mean, g)), pixel_axes(g));
    if (need[2]) grads[2] = sum(g, pixel_axes(g));
    return grads;
  }
};

void check_channel_values(std::string_view op, std::string_view role, const Tensor& values, const Tensor& x) {
  if (values.dtype() != x.dtype()) {
    throw DtypeError(Message(op, "the operands have different dtypes.")
                         .expected("{} of dtype {}, as x", role, x.dtype())
                         .got("{}", values.dtype())
                         .fix("convert with to()"));
  }
  if (values.shape() != Shape(x.shape()[1])) {
    throw ShapeError(Message(op, "{} does not fit the channels.", role)
                         .line("x {}", x.shape())
                         .expected("{} [{}], one value per channel", role, x.shape()[1])
                         .got("{}", values.shape())
                         .fix("give one {} per channel of x, or none", role));
  }
}

void check_image(std::string_view op, const Tensor& x, double epsilon) {
  if (!is_floating(x.dtype())) detail::fail_not_floating(op, x.dtype());
  if (x.rank() != 2 && x.rank() != 4) {
    throw ShapeError(Message(op, "the input has the wrong rank.")
                         .expected("x [N, C] or [N, C, H, W]")
                         .got("{}", x.shape())
                         .fix("reshape x, for instance with unsqueeze or flatten"));
  }
  if (!(epsilon >= 0)) {
    throw InvalidArgument(Message(op, "epsilon is negative or not a number.")
                              .expected("epsilon >= 0")
                              .got("{}", epsilon)
                              .fix("give a small positive epsilon, such as 1e-5"));
  }
  if (epsilon > 0) detail::check_divisor(op, "epsilon", epsilon, x.dtype());
}

/// The values, checked, or `otherwise` for each channel.
Tensor channel_values_or(std::string_view op, std::string_view role, const Tensor& values, const Tensor& x,
                         double otherwise) {
  if (!values.defined()) return full(Shape(x.shape()[1]), otherwise, x.dtype());
  check_channel_values(op, role, values, x);
  return values;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double epsilon,
                  BatchStatistics* statistics, const FusedActivation& activation) {
  detail::check_defined(BatchNorm::name, "x", x);
  check_image(BatchNorm::name, x, epsilon);
  detail::check_activation(BatchNorm::name, activation, x.dtype());
  const Tensor factor = channel_values_or(BatchNorm::name, "scale", scale, x, 1);
  const Tensor offset = channel_values_or(BatchNorm::name, "shift", shift, x, 0);
  return detail::apply_activated(BatchNorm{epsilon, statistics, {}, {}, {}}, activation, x, factor, offset);
}

Tensor batch_norm_inference(const Tensor& x, const Tensor& mean, const Tensor& variance, const Tensor& scale,
                            const Tensor& shift, double epsilon, const FusedActivation& activation) {
  constexpr std::string_view op = BatchNormInference::name;
  detail::check_defined(op, "x", x);
  detail::check_defined(op, "mean", mean);
  detail::check_defined(op, "variance", variance);
  check_image(op, x, epsilon);
  detail::check_activation(op, activation, x.dtype());
  check_channel_values(op, "mean", mean, x);
  check_channel_values(op, "variance", variance, x);
  const Tensor inverse = rsqrt(variance.detach() + epsilon);
  const Tensor offset = channel_values_or(op, "shift", shift, x, 0);
  if (scale.defined()) check_channel_values(op, "scale", scale, x);
  // For scale's gradient, since running means change between a forward and its backward.
  const bool keeps_mean = scale.defined() && !scale.stop_gradient() && is_grad_enabled();
  const Tensor values = kernel::contiguous(keeps_mean ? kernel::clone(mean) : mean.detach());
  return detail::apply_activated(BatchNormInference{values}, activation, x, scale.defined() ? inverse * scale : inverse,
                                 offset);
}

}  // namespace dygrad
