// Elementary functions: see Note [Unary ops] in unary.h for how each is written.
#include <cmath>
#include <limits>
#include <numbers>

#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/simd/vector_math.h>

namespace dygrad {

namespace {

using detail::apply_unary;
using detail::constant_like;
using detail::SavesInput;
using detail::SavesOutput;

/// x clamped to finite values, so that 0 * x is 0, not NaN.
Tensor clamp_to_finite(const Tensor& x) {
  const double most = x.dtype() == float32 ? static_cast<double>(std::numeric_limits<float>::max())
                                           : std::numeric_limits<double>::max();
  return clip(x, -most, most);
}

struct Exp : SavesOutput {
  static constexpr std::string_view name = "exp";
  static auto forward(auto x) { return vec::exp(x); }
  static auto vjp(auto g, auto y) { return g * y; }
  static Tensor vjp_grad(const Tensor& p, const Tensor&) { return p; }
};

struct Log : SavesInput {
  static constexpr std::string_view name = "log";
  static auto forward(auto x) { return vec::log(x); }
  static auto vjp(auto g, auto x) { return g / x; }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return -(p / x / x); }
};

struct Log1p : SavesInput {
  static constexpr std::string_view name = "log1p";
  static auto forward(auto x) { return vec::log1p(x); }
  static auto vjp(auto g, auto x) { return g / (1 + x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const Tensor u = 1 + x;
    return -(p / u / u);
  }
};

// Saves x: y + 1 cancels to 0 for x far below 0, e^x does not.
struct Expm1 : SavesInput {
  static constexpr std::string_view name = "expm1";
  static auto forward(auto x) { return vec::expm1(x); }
  static auto vjp(auto g, auto x) { return g * vec::exp(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return p * exp(x); }
};

struct Sqrt : SavesOutput {
  static constexpr std::string_view name = "sqrt";
  static auto forward(auto x) { return std::sqrt(x); }
  // |y|: sqrt(-0) is -0, but the slope there is +infinity.
  static auto vjp(auto g, auto y) { return g / (2 * std::abs(y)); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * -0.5 / square(y); }
};

struct Rsqrt : SavesOutput {
  static constexpr std::string_view name = "rsqrt";
  static auto forward(auto x) { return 1 / std::sqrt(x); }
  static auto vjp(auto g, auto y) { return g * y * y * (y / -2); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * square(y) * -1.5; }
};

struct Square : SavesInput {
  static constexpr std::string_view name = "square";
  static auto forward(auto x) { return x * x; }
  static auto vjp(auto g, auto x) { return 2 * g * x; }
  static Tensor vjp_grad(const Tensor& p, const Tensor&) { return p * 2; }
};

struct Reciprocal : SavesOutput {
  static constexpr std::string_view name = "reciprocal";
  static auto forward(auto x) { return 1 / x; }
  static auto vjp(auto g, auto y) { return -g * y * y; }
  static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * y * -2; }
};

struct Abs : SavesInput {
  static constexpr std::string_view name = "abs";
  static auto forward(auto x) { return std::abs(x); }
  static auto vjp(auto g, auto x) { return x > 0 ? g : x < 0 ? -g : 0; }
};

struct Erf : SavesInput {
  static constexpr std::string_view name = "erf";
  static constexpr double slope_at_0 = 2 * std::numbers::inv_sqrtpi;
  static auto forward(auto x) { return vec::erf(x); }
  static constexpr double end = 30;  // e^(-30^2) is 0 in either dtype
  static auto vjp(auto g, auto x) { return g * constant_like(g, slope_at_0) * vec::exp_neg_square(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const Tensor z = clip(x, -end, end);
    return p * z * exp(-square(z)) * (-2 * slope_at_0);
  }
};

struct Sin : SavesInput {
  static constexpr std::string_view name = "sin";
  static auto forward(auto x) { return std::sin(x); }
  static auto vjp(auto g, auto x) { return g * std::cos(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return -(p * sin(x)); }
};

struct Cos : SavesInput {
  static constexpr std::string_view name = "cos";
  static auto forward(auto x) { return std::cos(x); }
  static auto vjp(auto g, auto x) { return -g * std::sin(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return -(p * cos(x)); }
};

struct Tan : SavesOutput {
  static constexpr std::string_view name = "tan";
  static auto forward(auto x) { return std::tan(x); }
  static auto vjp(auto g, auto y) { return g * (1 + y * y); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& y) { return p * y * 2; }
};

// (1 - x)(1 + x) instead of 1 - x^2 keeps its digits near 1; where it is -infinity, its power would be 0 instead of
// NaN.
struct Asin : SavesInput {
  static constexpr std::string_view name = "asin";
  static auto forward(auto x) { return std::asin(x); }
  static auto vjp(auto g, auto x) { return g / std::sqrt((1 - x) * (1 + x)); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    return p * x * pow(clamp_to_finite((1 - x) * (1 + x)), -1.5);
  }
};

struct Acos : SavesInput {
  static constexpr std::string_view name = "acos";
  static auto forward(auto x) { return std::acos(x); }
  static auto vjp(auto g, auto x) { return -g / std::sqrt((1 - x) * (1 + x)); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    return -(p * x * pow(clamp_to_finite((1 - x) * (1 + x)), -1.5));
  }
};

// 1 / (1 + x^2), with both scaled where the square would overflow.
struct Atan : SavesInput {
  static constexpr std::string_view name = "atan";
  static auto forward(auto x) { return std::atan(x); }
  static auto vjp(auto g, auto x) {
    const auto scale =
        std::abs(x) > constant_like(x, 0x1p40) ? constant_like(x, sizeof(x) == 4 ? 0x1p-66 : 0x1p-514) : 1;
    const auto scaled = x * scale;
    return g * scale / (scale * scale + scaled * scaled) * scale;
  }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const auto over_square = [&](const Tensor& t) { return apply(detail::UnaryGrad<Atan>{}, t, x); };
    return over_square(over_square(p) * clamp_to_finite(x)) * -2;
  }
};

struct Sinh : SavesInput {
  static constexpr std::string_view name = "sinh";
  static auto forward(auto x) { return std::sinh(x); }
  static auto vjp(auto g, auto x) { return g * std::cosh(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return p * sinh(x); }
};

struct Cosh : SavesInput {
  static constexpr std::string_view name = "cosh";
  static auto forward(auto x) { return std::cosh(x); }
  static auto vjp(auto g, auto x) { return g * std::sinh(x); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) { return p * cosh(x); }
};

struct Asinh : SavesInput {
  static constexpr std::string_view name = "asinh";
  static auto forward(auto x) { return std::asinh(x); }
  static auto vjp(auto g, auto x) { return g / std::hypot(x, constant_like(x, 1)); }
  // -x / (1 + x^2)^(3/2)
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const auto over_root = [&](const Tensor& t) { return apply(detail::UnaryGrad<Asinh>{}, t, x); };
    return -over_root(over_root(over_root(p) * clamp_to_finite(x)));
  }
};

struct Acosh : SavesInput {
  static constexpr std::string_view name = "acosh";
  static auto forward(auto x) { return std::acosh(x); }
  static auto vjp(auto g, auto x) { return g / (std::sqrt(x - 1) * std::sqrt(x + 1)); }
  // -x / (x^2 - 1)^(3/2)
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const auto over_root = [&](const Tensor& t) { return apply(detail::UnaryGrad<Acosh>{}, t, x); };
    return -over_root(over_root(over_root(p) * clamp_to_finite(x)));
  }
};

struct Atanh : SavesInput {
  static constexpr std::string_view name = "atanh";
  static auto forward(auto x) { return std::atanh(x); }
  static auto vjp(auto g, auto x) { return g / ((1 - x) * (1 + x)); }
  static Tensor vjp_grad(const Tensor& p, const Tensor& x) {
    const double end = x.dtype() == float32 ? 0x1p60 : 0x1p500;  // beyond, the derivative rounds to 0
    return p * clip(x, -end, end) * 2 / square((1 - x) * (1 + x));
  }
};

// Functions that are constant between their jumps.
struct Sign : SavesOutput {
  static constexpr std::string_view name = "sign";
  static auto forward(auto x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
  static auto vjp(auto, auto) { return 0; }
};

struct Ceil : SavesOutput {
  static constexpr std::string_view name = "ceil";
  static auto forward(auto x) { return std::ceil(x); }
  static auto vjp(auto, auto) { return 0; }
};

struct Floor : SavesOutput {
  static constexpr std::string_view name = "floor";
  static auto forward(auto x) { return std::floor(x); }
  static auto vjp(auto, auto) { return 0; }
};

struct Round : SavesOutput {
  static constexpr std::string_view name = "round";
  static auto forward(auto x) { return std::round(x); }
  static auto vjp(auto, auto) { return 0; }
};

}  // namespace

Tensor exp(const Tensor& x) { return apply_unary(Exp{}, x); }
Tensor log(const Tensor& x) { return apply_unary(Log{}, x); }
Tensor log1p(const Tensor& x) { return apply_unary(Log1p{}, x); }
Tensor expm1(const Tensor& x) { return apply_unary(Expm1{}, x); }
Tensor sqrt(const Tensor& x) { return apply_unary(Sqrt{}, x); }
Tensor rsqrt(const Tensor& x) { return apply_unary(Rsqrt{}, x); }
Tensor square(const Tensor& x) { return apply_unary(Square{}, x); }
Tensor reciprocal(const Tensor& x) { return apply_unary(Reciprocal{}, x); }
Tensor abs(const Tensor& x) { return apply_unary(Abs{}, x); }
Tensor sign(const Tensor& x) { return apply_unary(Sign{}, x); }
Tensor ceil(const Tensor& x) { return apply_unary(Ceil{}, x); }
Tensor floor(const Tensor& x) { return apply_unary(Floor{}, x); }
Tensor round(const Tensor& x) { return apply_unary(Round{}, x); }
Tensor erf(const Tensor& x) { return apply_unary(Erf{}, x); }
Tensor sin(const Tensor& x) { return apply_unary(Sin{}, x); }
Tensor cos(const Tensor& x) { return apply_unary(Cos{}, x); }
Tensor tan(const Tensor& x) { return apply_unary(Tan{}, x); }
Tensor asin(const Tensor& x) { return apply_unary(Asin{}, x); }
Tensor acos(const Tensor& x) { return apply_unary(Acos{}, x); }
Tensor atan(const Tensor& x) { return apply_unary(Atan{}, x); }
Tensor sinh(const Tensor& x) { return apply_unary(Sinh{}, x); }
Tensor cosh(const Tensor& x) { return apply_unary(Cosh{}, x); }
Tensor asinh(const Tensor& x) { return apply_unary(Asinh{}, x); }
Tensor acosh(const Tensor& x) { return apply_unary(Acosh{}, x); }
Tensor atanh(const Tensor& x) { return apply_unary(Atanh{}, x); }

}  // namespace dygrad
