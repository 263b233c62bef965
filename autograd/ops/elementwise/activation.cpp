// Activations: see Note [Unary ops] in unary.h for how each is written.
#include <cmath>
#include <limits>
#include <numbers>

#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/detail/number_check.h>
#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/simd/vector_math.h>

namespace dygrad {

namespace {

using detail::apply_unary;
using detail::check_divisor;
using detail::check_finite;
using detail::check_ordered;
using detail::constant_like;
using detail::SavesInput;
using detail::SavesOutput;

auto clipped(auto x, auto low, auto high) { return x <= low ? low : x >= high ? high : x; }

// Note [Overflow for large arguments]
// An infinite or huge factor that meets one which has become 0 would give NaN. So arguments that only occur together
// with a factor that vanishes are clipped to where it has become 0 in either dtype; and x s is `gated`.
constexpr double kSigmoidEnd = 800;  // e^-800 is 0
constexpr double kNormalEnd = 40;    // so is e^(-40^2 / 2)

/// x s, but 0 wherever s is 0.
auto gated(auto x, auto s) { return s == 0 ? std::copysign(s, x) : x * s; }

auto within(auto x, double end) { return clipped(x, constant_like(x, -end), constant_like(x, end)); }
Tensor within(const Tensor& x, double end) { return clip(x, -end, end); }

// Values outside (low, high) are cut off, and their derivative is 0 on the bounds too.
struct Relu6 : SavesOutput {
  static constexpr std::string_view name = "relu6";
  double threshold;
  auto forward(auto x) const { return clipped(x, constant_like(x, 0), constant_like(x, threshold)); }
  auto vjp(auto g, auto y) const { return y > 0 && y < constant_like(y, threshold) ? g : 0; }
};

struct Brelu : SavesOutput {
  static constexpr std::string_view name = "brelu";
  double low, high;
  auto forward(auto x) const { return clipped(x, constant_like(x, low), constant_like(x, high)); }
  auto vjp(auto g, auto y) const { return y > constant_like(y, low) && y < constant_like(y, high) ? g : 0; }
};

struct HardSigmoid : SavesOutput {
  static constexpr std::string_view name = "hard_sigmoid";
  double slope, offset;
  auto forward(auto x) const {
    return clipped(constant_like(x, slope) * x + constant_like(x, offset), constant_like(x, 0), constant_like(x, 1));
  }
  auto vjp(auto g, auto y) const { return y > 0 && y < 1 ? g * constant_like(g, slope) : 0; }
};

/// p where x is not positive, else 0; and e^x there, without overflow elsewhere.
Tensor where_negative(const Tensor& x, const Tensor& p) { return where(x > 0, zeros_like(p), p); }
Tensor exp_of_negative(const Tensor& x) { return exp(clip(x, -std::numeric_limits<double>::infinity(), 0)); }

struct Elu : SavesInput {
  static constexpr std::string_view name = "elu";
  double scale, alpha;
  auto forward(auto x) const { return constant_like(x, scale) * (x > 0 ? x : constant_like(x, alpha) * vec::expm1(x)); }
  auto vjp(auto g, auto x) const {
    return g * (constant_like(x, scale) * (x > 0 ? 1 : constant_like(x, alpha) * vec::exp(x)));
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& x) const {
    const Tensor e = exp_of_negative(x);
    // The product of the factors alone may overflow.
    const bool is_finite = std::isfinite(detail::rounded_to(x.dtype(), scale * alpha));
    return where_negative(x, is_finite ? p * e * (scale * alpha) : p * (e * alpha * scale));
  }
};

/// The derivative of sigmoid; 1 - sigmoid(x) would lose its digits.
Tensor sigmoid_slope(const Tensor& x) { return sigmoid(x) * sigmoid(-x); }

struct LogSigmoid : SavesInput {
  static constexpr std::string_view name = "logsigmoid";
  static auto forward(auto x) { return -vec::softplus(-x); }
  static auto vjp(auto g, auto x) { return g * vec::sigmoid(-x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return -(p * sigmoid_slope(x)); }
};

struct Softplus : SavesInput {
  static constexpr std::string_view name = "softplus";
  static auto forward(auto x) { return vec::softplus(x); }
  static auto vjp(auto g, auto x) { return g * vec::sigmoid(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return p * sigmoid_slope(x); }
};

struct SoftRelu : SavesOutput {
  static constexpr std::string_view name = "soft_relu";
  double threshold;
  auto forward(auto x) const {
    return vec::softplus(clipped(x, constant_like(x, -threshold), constant_like(x, threshold)));
  }
  auto vjp(auto g, auto y) const {
    const auto limit = constant_like(y, threshold);
    return y > -limit && y < limit ? -g * vec::expm1(-y) : 0;
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& y) const {
    return where(logical_and(y > -threshold, y < threshold), p * exp(-y), zeros_like(p));
  }
};

struct TanhShrink : SavesInput {
  static constexpr std::string_view name = "tanh_shrink";
  static auto forward(auto x) { return vec::tanh_shrink(x); }
  static auto vjp(auto g, auto x) {
    const auto t = vec::tanh(x);
    return g * t * t;
  }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return 8 * p * tanh(x) * sigmoid_slope(2 * x); }
};

// With t = tanh(a x) and y = b t: dy/dx = a b (1 - t^2), where 1 - t^2 is 4 times the slope of sigmoid at 2 a x.
struct Stanh : SavesInput {
  static constexpr std::string_view name = "stanh";
  double a, b;
  auto forward(auto x) const { return constant_like(x, b) * vec::tanh(constant_like(x, a) * x); }
  auto vjp(auto g, auto x) const {
    return g * constant_like(g, 4 * a * b) * vec::SigmoidAndSlope(constant_like(x, 2 * a) * x).slope;
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& x) const {
    return p * tanh(x * a) * sigmoid_slope(x * (2 * a)) * (-4 * a * b) * (2 * a);
  }
};

// With s = sigmoid(beta x): dy/dx = s + beta x s (1 - s). See Note [Overflow for large arguments].
struct Swish : SavesInput {
  static constexpr std::string_view name = "swish";
  double beta;
  auto forward(auto x) const { return gated(x, vec::sigmoid(constant_like(x, beta) * x)); }
  auto vjp(auto g, auto x) const {
    const auto z = within(constant_like(x, beta) * x, kSigmoidEnd);
    const vec::SigmoidAndSlope s(z);
    return g * (s.value + z * s.slope);
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& x) const {
    const Tensor z = within(x * beta, kSigmoidEnd);
    const Tensor s = sigmoid(z), rest = sigmoid(-z);
    return p * s * rest * (2 + z * (rest - s)) * beta;
  }
};

struct HardSwish : SavesInput {
  static constexpr std::string_view name = "hard_swish";
  double threshold, scale, offset;
  auto forward(auto x) const {
    return gated(x, clipped(x + constant_like(x, offset), constant_like(x, 0), constant_like(x, threshold)) /
                        constant_like(x, scale));
  }
  auto vjp(auto g, auto x) const {
    const auto shifted = x + constant_like(x, offset);
    return shifted <= 0 ? 0 : shifted >= constant_like(x, threshold) ? g : g * (x + shifted) / constant_like(x, scale);
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& x) const {
    const Tensor shifted = x + offset;
    return where(logical_and(shifted > 0, shifted < threshold), p * (2 / scale), zeros_like(p));
  }
};

// With n = e^x (e^x + 2): t = tanh(log(1 + e^x)) = n / (n + 2), which is 1 to the last digit from x = 22 on; and with
// m = 1 - s = sigmoid(-x) instead: t = s (1 + m) / (1 + m^2), 1 - t^2 = (2 m / (1 + m^2))^2. See Note [Overflow for
// large arguments].
struct Mish : SavesInput {
  static constexpr std::string_view name = "mish";
  static auto forward(auto x) {
    const auto e = vec::exp(x > 22 ? 22 : x);
    const auto n = e * (e + 2);
    return gated(x, n / (n + 2));
  }
  static auto vjp(auto g, auto x) {
    const auto z = clipped(x, constant_like(x, -kSigmoidEnd), constant_like(x, 22));
    const auto e = vec::exp(z);
    const auto n = e * (e + 2);
    const auto t = n / (n + 2);
    return g * (t + z * (e / (1 + e)) * (1 + t) * 2 / (n + 2));
  }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const Tensor z = within(x, kSigmoidEnd);
    const Tensor s = sigmoid(z), m = sigmoid(-z), d = 1 + square(m);
    const Tensor t = s * (1 + m) / d;
    return p * square(2 * m / d) * s * (2 + z * (m - 2 * t * s));
  }
};

struct Softsign : SavesInput {
  static constexpr std::string_view name = "softsign";
  static auto forward(auto x) {
    const auto size = std::abs(x), most = std::numeric_limits<decltype(x)>::max();
    const auto finite = size > most ? most : size;
    return std::copysign(finite / (1 + finite), x);
  }
  static auto vjp(auto g, auto x) {
    const auto r = 1 / (1 + std::abs(x));
    return g * r * r;
  }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return p * sign(x) * -2 * pow(1 + abs(x), -3); }
};

struct ThresholdedRelu : SavesInput {
  static constexpr std::string_view name = "thresholded_relu";
  double threshold;
  auto forward(auto x) const { return x <= constant_like(x, threshold) ? 0 : x; }
  auto vjp(auto g, auto x) const { return x > constant_like(x, threshold) ? g : 0; }
};

struct Softshrink : SavesOutput {
  static constexpr std::string_view name = "softshrink";
  double lambda;
  auto forward(auto x) const { return x - clipped(x, constant_like(x, -lambda), constant_like(x, lambda)); }
  static auto vjp(auto g, auto y) { return y < 0 || y > 0 ? g : 0; }
};

// The same test on the output: there, what the threshold removed is 0.
struct HardShrink : SavesOutput {
  static constexpr std::string_view name = "hard_shrink";
  double threshold;
  auto forward(auto x) const { return std::abs(x) <= constant_like(x, threshold) ? 0 : x; }
  auto vjp(auto g, auto y) const { return std::abs(y) > constant_like(y, threshold) ? g : 0; }
};

// x Phi(x), with Phi the normal distribution function.
struct Gelu : SavesInput {
  static constexpr std::string_view name = "gelu";
  static constexpr double peak = std::numbers::inv_sqrtpi * std::numbers::sqrt2 / 2;  // 1 / sqrt(2 pi)
  static auto forward(auto x) { return gated(x, vec::normal_distribution(x)); }
  static auto vjp(auto g, auto x) { return g * vec::gelu_slope(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const Tensor xx = square(within(x, kNormalEnd));
    return p * (2 - xx) * exp(xx * -0.5) * peak;
  }
};

// x/2 (1 + tanh u) = x s with s = sigmoid(w), w = 2u = 2 sqrt(2/pi) (x + 0.044715 x^3). See Note [Overflow for large
// arguments].
struct GeluTanh : SavesInput {
  static constexpr std::string_view name = "gelu_tanh";
  static constexpr double linear = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  static constexpr double cubic = linear * 0.044715;
  static constexpr double end = 25;  // there w exceeds kSigmoidEnd
  static auto w(auto x) { return x * (constant_like(x, linear) + constant_like(x, cubic) * x * x); }
  static auto forward(auto x) { return gated(x, vec::sigmoid(w(x))); }
  static auto vjp(auto g, auto x) {
    const auto z = within(x, end);
    const vec::SigmoidAndSlope s(w(z));
    const auto dw = constant_like(z, linear) + constant_like(z, 3 * cubic) * z * z;
    return g * (s.value + z * s.slope * dw);
  }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const Tensor z = within(x, end), zz = square(z);
    const Tensor ww = z * (linear + cubic * zz);
    const Tensor s = sigmoid(ww), rest = sigmoid(-ww);
    const Tensor dw = linear + 3 * cubic * zz;
    return p * s * rest * (2 * dw + 6 * cubic * zz + z * square(dw) * (rest - s));
  }
};

void check_not_negative(std::string_view op, std::string_view argument, double value) {
  if (value >= 0) return;
  throw InvalidArgument(Message(op, "the argument is negative or not a number.")
                            .expected("{} >= 0", argument)
                            .got("{}", value)
                            .fix("let {} be 0 or more", argument));
}

}  // namespace

Tensor relu6(const Tensor& x, double threshold) {
  check_not_negative("relu6", "threshold", threshold);
  return apply_unary(Relu6{{}, threshold}, x);
}
Tensor elu(const Tensor& x, double alpha) {
  check_finite("elu", "alpha", alpha, x);
  return apply_unary(Elu{{}, 1, alpha}, x);
}
Tensor selu(const Tensor& x, double scale, double alpha) {
  check_finite("selu", "scale", scale, x);
  check_finite("selu", "alpha", alpha, x);
  return apply_unary(Elu{{}, scale, alpha}, x);
}
Tensor logsigmoid(const Tensor& x) { return apply_unary(LogSigmoid{}, x); }
Tensor tanh_shrink(const Tensor& x) { return apply_unary(TanhShrink{}, x); }
Tensor stanh(const Tensor& x, double scale_a, double scale_b) {
  check_finite("stanh", "scale_a", scale_a, x);
  check_finite("stanh", "scale_b", scale_b, x);
  check_finite("stanh", "4 scale_a scale_b", 4 * scale_a * scale_b, x);
  return apply_unary(Stanh{{}, scale_a, scale_b}, x);
}
Tensor hard_sigmoid(const Tensor& x, double slope, double offset) {
  check_finite("hard_sigmoid", "slope", slope, x);
  check_finite("hard_sigmoid", "offset", offset, x);
  return apply_unary(HardSigmoid{{}, slope, offset}, x);
}
Tensor swish(const Tensor& x, double beta) {
  check_finite("swish", "beta", beta, x);
  if (detail::rounded_to(x.dtype(), beta) == 0) return x * 0.5;  // infinity too
  return apply_unary(Swish{{}, beta}, x);
}
Tensor silu(const Tensor& x) { return swish(x, 1); }
Tensor hard_swish(const Tensor& x, double threshold, double scale, double offset) {
  check_divisor("hard_swish", "scale", scale, x);
  check_finite("hard_swish", "offset", offset, x);
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
Tensor thresholded_relu(const Tensor& x, double threshold) {
  detail::check_not_nan("thresholded_relu", "threshold", threshold);
  return apply_unary(ThresholdedRelu{{}, threshold}, x);
}
Tensor softshrink(const Tensor& x, double lambda) {
  check_finite("softshrink", "lambda", lambda, x);
  check_not_negative("softshrink", "lambda", lambda);
  return apply_unary(Softshrink{{}, lambda}, x);
}
Tensor hard_shrink(const Tensor& x, double threshold) {
  check_not_negative("hard_shrink", "threshold", threshold);
  return apply_unary(HardShrink{{}, threshold}, x);
}
Tensor gelu(const Tensor& x, bool approximate) {
  return approximate ? apply_unary(GeluTanh{}, x) : apply_unary(Gelu{}, x);
}

}  // namespace dygrad
