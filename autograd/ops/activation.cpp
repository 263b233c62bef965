// Activations: see Note [Value, pull, bend] in unary.h for how each is written.
#include <cmath>
#include <limits>
#include <numbers>

#include <dygrad/autograd/ops/activation.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/autograd/ops/unary.h>
#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/core/vector_math.h>

namespace dygrad {

namespace {

using detail::apply_unary;
using detail::like;
using detail::OfInput;
using detail::OfOutput;

auto clipped(auto x, auto low, auto high) { return x <= low ? low : x >= high ? high : x; }

// Values outside (low, high) are cut off, and their derivative is 0 on the bounds too.
struct Relu6 : OfOutput {
  static constexpr std::string_view name = "relu6";
  double threshold;
  auto value(auto x) const { return clipped(x, like(x, 0), like(x, threshold)); }
  auto pull(auto g, auto y) const { return y > 0 && y < like(y, threshold) ? g : 0; }
};

struct Brelu : OfOutput {
  static constexpr std::string_view name = "brelu";
  double low, high;
  auto value(auto x) const { return clipped(x, like(x, low), like(x, high)); }
  auto pull(auto g, auto y) const { return y > like(y, low) && y < like(y, high) ? g : 0; }
};

struct HardSigmoid : OfOutput {
  static constexpr std::string_view name = "hard_sigmoid";
  double slope, offset;
  auto value(auto x) const { return clipped(like(x, slope) * x + like(x, offset), like(x, 0), like(x, 1)); }
  auto pull(auto g, auto y) const { return y > 0 && y < 1 ? g * like(g, slope) : 0; }
};

/// p where x is not positive, else 0; and e^x there, without overflow elsewhere.
Tensor where_negative(const Tensor& x, const Tensor& p) { return where(x > 0, zeros_like(p), p); }
Tensor exp_of_negative(const Tensor& x) { return exp(clip(x, -std::numeric_limits<double>::infinity(), 0)); }

struct Elu : OfInput {
  static constexpr std::string_view name = "elu";
  double scale, alpha;
  auto value(auto x) const { return like(x, scale) * (x > 0 ? x : like(x, alpha) * vec::expm1(x)); }
  auto pull(auto g, auto x) const { return g * like(x, scale) * (x > 0 ? 1 : like(x, alpha) * vec::exp(x)); }
  Tensor bend(const Tensor& p, const Tensor& x) const {
    return where_negative(x, p * exp_of_negative(x) * (scale * alpha));
  }
};

// dy/dx = 1 - e^y.
struct LogSigmoid : OfOutput {
  static constexpr std::string_view name = "logsigmoid";
  static auto value(auto x) { return -vec::softplus(-x); }
  static auto pull(auto g, auto y) { return -g * vec::expm1(y); }
  static Tensor bend(const Tensor& p, const Tensor& y) { return -(p * exp(y)); }
};

// dy/dx = 1 - e^-y.
struct Softplus : OfOutput {
  static constexpr std::string_view name = "softplus";
  static auto value(auto x) { return vec::softplus(x); }
  static auto pull(auto g, auto y) { return -g * vec::expm1(-y); }
  static Tensor bend(const Tensor& p, const Tensor& y) { return p * exp(-y); }
};

struct SoftRelu : OfOutput {
  static constexpr std::string_view name = "soft_relu";
  double threshold;
  auto value(auto x) const { return vec::softplus(clipped(x, like(x, -threshold), like(x, threshold))); }
  auto pull(auto g, auto y) const {
    const auto limit = like(y, threshold);
    return y > -limit && y < limit ? -g * vec::expm1(-y) : 0;
  }
  Tensor bend(const Tensor& p, const Tensor& y) const {
    return where(logical_and(y > -threshold, y < threshold), p * exp(-y), zeros_like(p));
  }
};

struct TanhShrink : OfInput {
  static constexpr std::string_view name = "tanh_shrink";
  static auto value(auto x) { return x - vec::tanh(x); }
  static auto pull(auto g, auto x) {
    const auto t = vec::tanh(x);
    return g * t * t;
  }
  static Tensor bend(const Tensor& p, const Tensor& x) {
    const Tensor t = tanh(x);
    return 2 * p * t * (1 - square(t));
  }
};

// With t = tanh(a x) and y = b t: dy/dx = a b (1 - t^2).
struct Stanh : OfInput {
  static constexpr std::string_view name = "stanh";
  double a, b;
  auto value(auto x) const { return like(x, b) * vec::tanh(like(x, a) * x); }
  auto pull(auto g, auto x) const {
    const auto t = vec::tanh(like(x, a) * x);
    return g * like(g, a * b) * (1 - t * t);
  }
  Tensor bend(const Tensor& p, const Tensor& x) const {
    const Tensor t = tanh(x * a);
    return p * t * (1 - square(t)) * (-2 * a * a * b);
  }
};

// With s = sigmoid(beta x): dy/dx = s (1 + beta x (1 - s)).
struct Swish : OfInput {
  static constexpr std::string_view name = "swish";
  double beta;
  auto value(auto x) const { return x * vec::sigmoid(like(x, beta) * x); }
  auto pull(auto g, auto x) const {
    const auto z = like(x, beta) * x;
    const auto s = vec::sigmoid(z);
    return g * s * (1 + z * (1 - s));
  }
  Tensor bend(const Tensor& p, const Tensor& x) const {
    const Tensor z = x * beta;
    const Tensor s = sigmoid(z);
    return p * s * (1 - s) * (2 + z * (1 - 2 * s)) * beta;
  }
};

struct HardSwish : OfInput {
  static constexpr std::string_view name = "hard_swish";
  double threshold, scale, offset;
  auto value(auto x) const { return x * clipped(x + like(x, offset), like(x, 0), like(x, threshold)) / like(x, scale); }
  auto pull(auto g, auto x) const {
    const auto shifted = x + like(x, offset);
    return shifted <= 0 ? 0 : shifted >= like(x, threshold) ? g : g * (x + shifted) / like(x, scale);
  }
  Tensor bend(const Tensor& p, const Tensor& x) const {
    const Tensor shifted = x + offset;
    return where(logical_and(shifted > 0, shifted < threshold), p * (2 / scale), zeros_like(p));
  }
};

// With n = e^x (e^x + 2): tanh(log(1 + e^x)) = n / (n + 2), which is 1 to the last digit from x = 20 on.
struct Mish : OfInput {
  static constexpr std::string_view name = "mish";
  static auto value(auto x) {
    const auto e = vec::exp(x > 20 ? 20 : x);
    const auto n = e * (e + 2);
    return x * (n / (n + 2));
  }
  static auto pull(auto g, auto x) {
    const auto e = vec::exp(x > 20 ? 20 : x);
    const auto n = e * (e + 2);
    const auto t = n / (n + 2);
    return g * (t + x * (e / (1 + e)) * (1 + t) * 2 / (n + 2));
  }
  static Tensor bend(const Tensor& p, const Tensor& x) {
    const Tensor s = sigmoid(x);
    const Tensor t = tanh(softplus(x));
    return p * (1 - square(t)) * s * (2 + x * (1 - s - 2 * t * s));
  }
};

struct Softsign : OfInput {
  static constexpr std::string_view name = "softsign";
  static auto value(auto x) { return x / (1 + std::abs(x)); }
  static auto pull(auto g, auto x) {
    const auto d = 1 + std::abs(x);
    return g / (d * d);
  }
  static Tensor bend(const Tensor& p, const Tensor& x) { return p * sign(x) * -2 * pow(1 + abs(x), -3); }
};

struct ThresholdedRelu : OfInput {
  static constexpr std::string_view name = "thresholded_relu";
  double threshold;
  auto value(auto x) const { return x <= like(x, threshold) ? 0 : x; }
  auto pull(auto g, auto x) const { return x > like(x, threshold) ? g : 0; }
};

struct Softshrink : OfOutput {
  static constexpr std::string_view name = "softshrink";
  double lambda;
  auto value(auto x) const { return x - clipped(x, like(x, -lambda), like(x, lambda)); }
  static auto pull(auto g, auto y) { return y < 0 || y > 0 ? g : 0; }
};

// The same test on the output: there, what the threshold removed is 0.
struct HardShrink : OfOutput {
  static constexpr std::string_view name = "hard_shrink";
  double threshold;
  auto value(auto x) const { return std::abs(x) <= like(x, threshold) ? 0 : x; }
  auto pull(auto g, auto y) const { return std::abs(y) > like(y, threshold) ? g : 0; }
};

// Phi, the normal distribution function, written with erfc keeps its digits far below zero.
struct Gelu : OfInput {
  static constexpr std::string_view name = "gelu";
  static constexpr double peak = std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2;  // 1 / sqrt(2 pi)
  static auto distribution(auto x) { return vec::erfc(x * like(x, -std::numbers::sqrt2 / 2)) / 2; }
  static auto value(auto x) { return x * distribution(x); }
  static auto pull(auto g, auto x) { return g * (distribution(x) + x * like(x, peak) * vec::exp(-x * x / 2)); }
  static Tensor bend(const Tensor& p, const Tensor& x) {
    const Tensor xx = square(x);
    return p * (2 - xx) * exp(xx * -0.5) * peak;
  }
};

// x/2 (1 + tanh u) = x s with s = sigmoid(w), w = 2u = 2 sqrt(2/pi) (x + 0.044715 x^3).
struct GeluTanh : OfInput {
  static constexpr std::string_view name = "gelu_tanh";
  static constexpr double linear = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  static constexpr double cubic = linear * 0.044715;
  static auto w(auto x) { return x * (like(x, linear) + like(x, cubic) * x * x); }
  static auto value(auto x) { return x * vec::sigmoid(w(x)); }
  static auto pull(auto g, auto x) {
    const auto s = vec::sigmoid(w(x));
    const auto dw = like(x, linear) + like(x, 3 * cubic) * x * x;
    return g * (s + x * s * (1 - s) * dw);
  }
  static Tensor bend(const Tensor& p, const Tensor& x) {
    const Tensor xx = square(x);
    const Tensor s = sigmoid(x * (linear + cubic * xx));
    const Tensor dw = linear + 3 * cubic * xx;
    return p * s * (1 - s) * (2 * dw + 6 * cubic * xx + x * square(dw) * (1 - 2 * s));
  }
};

void check_not_negative(std::string_view op, std::string_view argument, double value) {
  if (value >= 0) return;
  throw InvalidArgument(Message(op, "the argument is negative.")
                            .expected("{} >= 0", argument)
                            .got("{}", value)
                            .fix("give a {} of 0 or more", argument));
}

void check_ordered(std::string_view op, std::string_view bounds, double low, double high) {
  if (low <= high) return;
  throw InvalidArgument(Message(op, "the bounds are in the wrong order.")
                            .expected("{}", bounds)
                            .got("{} and {}", low, high)
                            .fix("swap the bounds; NaN is not one"));
}

}  // namespace

Tensor relu6(const Tensor& x, double threshold) {
  check_not_negative("relu6", "threshold", threshold);
  return apply_unary(Relu6{{}, threshold}, x);
}
Tensor elu(const Tensor& x, double alpha) { return apply_unary(Elu{{}, 1, alpha}, x); }
Tensor selu(const Tensor& x, double scale, double alpha) { return apply_unary(Elu{{}, scale, alpha}, x); }
Tensor logsigmoid(const Tensor& x) { return apply_unary(LogSigmoid{}, x); }
Tensor tanh_shrink(const Tensor& x) { return apply_unary(TanhShrink{}, x); }
Tensor stanh(const Tensor& x, double scale_a, double scale_b) { return apply_unary(Stanh{{}, scale_a, scale_b}, x); }
Tensor hard_sigmoid(const Tensor& x, double slope, double offset) {
  return apply_unary(HardSigmoid{{}, slope, offset}, x);
}
Tensor swish(const Tensor& x, double beta) { return apply_unary(Swish{{}, beta}, x); }
Tensor silu(const Tensor& x) { return swish(x, 1); }
Tensor hard_swish(const Tensor& x, double threshold, double scale, double offset) {
  check_not_negative("hard_swish", "threshold", threshold);
  return apply_unary(HardSwish{{}, threshold, scale, offset}, x);
}
Tensor mish(const Tensor& x) { return apply_unary(Mish{}, x); }
Tensor brelu(const Tensor& x, double t_min, double t_max) {
  check_ordered("brelu", "t_min <= t_max", t_min, t_max);
  return apply_unary(Brelu{{}, t_min, t_max}, x);
}
Tensor soft_relu(const Tensor& x, double threshold) {
  check_not_negative("soft_relu", "threshold", threshold);
  return apply_unary(SoftRelu{{}, threshold}, x);
}
Tensor softplus(const Tensor& x) { return apply_unary(Softplus{}, x); }
Tensor softsign(const Tensor& x) { return apply_unary(Softsign{}, x); }
Tensor thresholded_relu(const Tensor& x, double threshold) { return apply_unary(ThresholdedRelu{{}, threshold}, x); }
Tensor softshrink(const Tensor& x, double lambda) {
  check_not_negative("softshrink", "lambda", lambda);
  return apply_unary(Softshrink{{}, lambda}, x);
}
Tensor hard_shrink(const Tensor& x, double threshold) { return apply_unary(HardShrink{{}, threshold}, x); }
Tensor gelu(const Tensor& x, bool approximate) {
  return approximate ? apply_unary(GeluTanh{}, x) : apply_unary(Gelu{}, x);
}

}  // namespace dygrad
