// Elementary functions without branches, tables or calls, so that loops over them become vector code: what the kernels
// of exp, log, tanh and their relatives are made of. float32 and float64.
//
// Note [Vector functions]
// Each is the textbook scheme: bring the argument near zero with steps that are exact, evaluate a polynomial there,
// undo the first step. Source: Cody and Waite, "Software Manual for the Elementary Functions", 1980; Tang,
// "Table-driven implementation of the exponential function", ACM TOMS 15, 1989 (without the table); for log and log1p
// Kahan's correction of 1 + x. The polynomials' coefficients are minimax (Remez' exchange, computed with 60 digits).
// They add and multiply in a fixed order and never fuse the two, so an element's bits depend neither on its place in
// the vector nor on the instruction set. Infinity, NaN, signed zero and subnormal numbers are as in IEEE's functions.
// Errors are below 2 units in the last place: tests/core/simd/vector_math_test.cpp has each bound and checks it.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <utility>

namespace dygrad::vec {

#define DYGRAD_INLINE [[gnu::always_inline]] inline

namespace detail {

/// What depends on the format of the number.
template <class T>
struct FloatTraits;

template <>
struct FloatTraits<float> {
  using Bits = std::uint32_t;
  static constexpr int kMantissaBits = 23;
  static constexpr Bits kBias = 127;
  static constexpr float kShifter = 0x1.8p23f;           // adding this leaves the nearest whole number in the last bits
  static constexpr float kLn2High = 0.693145752f;        // 15 bits after the point: exact times any exponent
  static constexpr float kLn2Low = 1.42860677e-6f;       // log(2) less that
  static constexpr float kExpLow = -104, kExpHigh = 89;  // beyond: 0, infinity
  static constexpr float kSaturation = 20;               // beyond: 1 is nothing to e^x, nor is e^-x to 1
  // (e^r - 1 - r) / r^2 on |r| <= log(2) / 2; times r^2 right to 2^-28.
  static constexpr float kExp[] = {5.0e-1f, 1.666651219e-1f, 4.166618735e-2f, 8.369598538e-3f, 1.395169762e-3f};
  // (x - tanh(x)) / x^3 in x^2 for |x| <= 1, right to 2^-27.
  static constexpr float kTanhShrink[] = {3.333333316e-1f, -1.333331066e-1f, 5.396341475e-2f, -2.182954884e-2f,
                                          8.697847593e-3f, -3.206803387e-3f, 9.235008463e-4f, -1.427931880e-4f};
  // (log(1 + f) - f + f^2 / 2) / f^3 on sqrt(1/2) <= 1 + f <= sqrt(2); times f^2 right to 2^-30.
  static constexpr float kLog[] = {3.333331048e-1f,  -2.499998510e-1f, 2.000224739e-1f,
                                   -1.666930914e-1f, 1.421823204e-1f,  -1.238300577e-1f,
                                   1.187508404e-1f,  -1.179911569e-1f, 6.921701878e-2f};
};

template <>
struct FloatTraits<double> {
  using Bits = std::uint64_t;
  static constexpr int kMantissaBits = 52;
  static constexpr Bits kBias = 1023;
  static constexpr double kShifter = 0x1.8p52;
  static constexpr double kLn2High = 6.93147180559662956512e-1;  // 41 bits after the point
  static constexpr double kLn2Low = 2.82352905630315771031e-13;
  static constexpr double kExpLow = -746, kExpHigh = 710;
  static constexpr double kSaturation = 40;
  static constexpr double kExp[] = {5.00000000000000000e-01, 1.66666666666666852e-01, 4.16666666666667337e-02,
                                    8.33333333331538056e-03, 1.38888888888560229e-03, 1.98412699004517487e-04,
                                    2.48015873779939357e-05, 2.75572308243074105e-06, 2.75572300182200867e-07,
                                    2.51134357272135204e-08, 2.09279112906925434e-09};
  // As above, right to 2^-55.
  static constexpr double kTanhShrink[] = {
      3.33333333333333329e-01, -1.33333333333330901e-01, 5.39682539680463759e-02, -2.18694885291290901e-02,
      8.86323540457828249e-03, -3.59212667936634120e-03, 1.45582469209649420e-03, -5.89979294630005166e-04,
      2.38957052287382252e-04, -9.64627774331318143e-05, 3.83896078931473331e-05, -1.46061316767153785e-05,
      4.98776031752034667e-06, -1.37918144990833416e-06, 2.63307722329593346e-07, -2.51550236593821058e-08};
  // ((log(1 + s) - log(1 - s)) / s - 2) / s^2 in s^2, for the same f and s = f / (2 + f); times s^2 right to 2^-58.
  static constexpr double kLog[] = {6.66666666666673624e-01, 3.99999999994038236e-01, 2.85714287450301363e-01,
                                    2.22221982802087992e-01, 1.81835806186882804e-01, 1.53136078425797240e-01,
                                    1.48006262381916026e-01};
};

/// c[0] + c[1] x + c[2] x^2 + ..., as a polynomial in x^2 whose coefficients are pairs: half as long a chain of steps
/// that wait for each other (Estrin's scheme, once).
template <class T, std::size_t N>
DYGRAD_INLINE T polynomial(T x, const T (&c)[N]) {
  constexpr std::size_t kPairs = (N + 1) / 2;
  const T xx = x * x;
  const auto pair = [&](std::size_t i) __attribute__((always_inline)) {
    return 2 * i + 1 < N ? c[2 * i] + x * c[2 * i + 1] : c[2 * i];
  };
  return [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
    T sum = pair(kPairs - 1);
    ((sum = sum * xx + pair(kPairs - 2 - I)), ...);
    return sum;
  }
  (std::make_index_sequence<kPairs - 1>());
}

/// Range reduction of exp (Cody and Waite): x = n log(2) + (high - low), n whole, |high - low| <= log(2) / 2, low below
/// a unit in the last place of x.
/// With that e^x = 2^n (1 + high + tail()).
template <class T>
struct ExpReduction {
  using R = FloatTraits<T>;
  using Bits = typename R::Bits;
  T n;
  T high, low;  // high is exact
  Bits biased;  // ends in the bits of n + offset

  DYGRAD_INLINE ExpReduction(T x, int offset) {
    const T shifter = R::kShifter + static_cast<T>(offset), shifted = x * std::numbers::log2e_v<T> + shifter;
    n = shifted - shifter;
    high = x - n * R::kLn2High;
    low = n * R::kLn2Low;
    biased = std::bit_cast<Bits>(shifted);
  }
  DYGRAD_INLINE T tail() const {
    const T r = high - low;
    return (r * r) * polynomial(r, R::kExp) - low;
  }
  /// 2^(n + offset - kBias): the exponent is what the shift leaves.
  DYGRAD_INLINE T power() const { return std::bit_cast<T>(biased << R::kMantissaBits); }
};

/// For the offset of a `scaled` ExpReduction.
template <class T>
inline constexpr int kTwoSteps = 2 * static_cast<int>(FloatTraits<T>::kBias);

/// y * 2^n, in two steps that each stay in range.
template <class T>
DYGRAD_INLINE T scaled(T y, const ExpReduction<T>& h) {
  using R = FloatTraits<T>;
  const auto half = h.biased >> 1;
  return y * std::bit_cast<T>(half << R::kMantissaBits) * std::bit_cast<T>((h.biased - half) << R::kMantissaBits);
}

/// y, or what a function is below `low` and above `high`; y if x is NaN. Compilers need fewer instructions to choose at
/// the end than to clamp x before.
template <class T>
DYGRAD_INLINE T between(T x, T low, T high, T below, T y, T above) {
  y = x > high ? above : y;
  return x < low ? below : y;
}

}  // namespace detail

template <class T>
DYGRAD_INLINE T exp(T x) {
  using R = detail::FloatTraits<T>;
  const detail::ExpReduction<T> h(x, detail::kTwoSteps<T>);
  const T y = detail::scaled(1 + (h.high + h.tail()), h);
  return detail::between(x, R::kExpLow, R::kExpHigh, T(0), y, std::numeric_limits<T>::infinity());
}

namespace detail {
/// e^x for x <= 0, with a simpler last step: 2^n times `kUp` is neither too small nor too large.
template <class T>
DYGRAD_INLINE T exp_of_negative(T x) {
  using R = FloatTraits<T>;
  constexpr typename R::Bits kUp = R::kBias / 2;
  constexpr T kDown = 1 / std::bit_cast<T>((kUp + R::kBias) << R::kMantissaBits);
  const ExpReduction<T> h(x < R::kExpLow ? R::kExpLow : x, kUp + R::kBias);
  return (1 + (h.high + h.tail())) * h.power() * kDown;
}

/// (e^x - 1) / 2, with half = 2^n / 2.
template <class T>
DYGRAD_INLINE T half_expm1(const ExpReduction<T>& h, T half) {
  return ((half - T(0.5)) + half * h.high) + half * h.tail();
}
}  // namespace detail

/// e^x - 1.
template <class T>
DYGRAD_INLINE T expm1(T x) {
  using R = detail::FloatTraits<T>;
  const detail::ExpReduction<T> h(x, detail::kTwoSteps<T>);
  T y = 2 * detail::half_expm1(h, detail::scaled(T(0.5), h));
  // Near zero nothing must be lost to halving, nor the sign of zero.
  y = h.n != 0 ? y : x == 0 ? x : h.high + h.tail();
  return detail::between(x, -R::kSaturation, R::kExpHigh, T(-1), y, std::numeric_limits<T>::infinity());
}

namespace detail {

/// Range reduction of log, as by frexp: x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2), for finite x > 0.
template <class T>
struct LogReduction {
  using R = FloatTraits<T>;
  using Bits = typename R::Bits;
  T k, f;

  DYGRAD_INLINE LogReduction(T x, bool normal) {
    constexpr Bits kSqrtHalf = std::bit_cast<Bits>(std::numbers::sqrt2_v<T> / 2);
    constexpr Bits kExponents = R::kBias << R::kMantissaBits;  // keeps differences of exponents positive
    constexpr T kWhole = T(Bits(1) << R::kMantissaBits);       // its last bits count whole numbers
    const bool subnormal = !normal && x < std::numeric_limits<T>::min();
    const Bits bits = std::bit_cast<Bits>(subnormal ? x * kWhole : x) - kSqrtHalf + kExponents;
    const Bits exponent = bits >> R::kMantissaBits;
    k = std::bit_cast<T>(exponent | std::bit_cast<Bits>(kWhole)) - (kWhole + T(R::kBias));
    k = subnormal ? k - R::kMantissaBits : k;
    f = std::bit_cast<T>((bits & ((Bits(1) << R::kMantissaBits) - 1)) + kSqrtHalf) - 1;
  }
};

/// log(x) + correction, where x is finite, positive, perhaps known not to be subnormal, and the correction is small.
template <class T>
DYGRAD_INLINE T finite_log(T x, T correction, bool normal = false) {
  using R = FloatTraits<T>;
  const LogReduction<T> of(x, normal);
  const T f = of.f, half_square = T(0.5) * f * f;
  T rest;  // log(1 + f) = f - half_square + rest
  if constexpr (std::is_same_v<T, float>) {
    rest = f * f * f * polynomial(f, R::kLog);
  } else {
    const T s = f / (2 + f), ss = s * s;
    rest = s * (half_square + ss * polynomial(ss, R::kLog));
  }
  return of.k * R::kLn2High - ((half_square - (rest + (of.k * R::kLn2Low + correction))) - f);
}

/// The logarithm of x where that is not finite, else y.
template <class T>
DYGRAD_INLINE T at_ends_of_log(T x, T y) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  y = x > 0 ? y : x == 0 ? -kInfinity : std::numeric_limits<T>::quiet_NaN();
  return x == kInfinity ? x : y;
}

}  // namespace detail

template <class T>
DYGRAD_INLINE T log(T x) {
  return detail::at_ends_of_log(x, detail::finite_log(x, T(0)));
}

/// log(1 + x).
template <class T>
DYGRAD_INLINE T log1p(T x) {
  const T u = 1 + x, v = u - 1;
  const T lost = (1 - (u - v)) + (x - v);  // u + lost = 1 + x exactly
  const T y = detail::at_ends_of_log(u, detail::finite_log(u, lost / u));
  return u == 1 ? x : y;
}

/// With t = (e^2|x| - 1) / 2: y = t / (1 + t), and the sign of x. Where t is small, the rounding of 1 + t is too much
/// for y, but not for y = t - t * y.
template <class T>
DYGRAD_INLINE T tanh(T x) {
  using R = detail::FloatTraits<T>;
  const T z = 2 * std::abs(x);
  const detail::ExpReduction<T> h(z, R::kBias - 1);
  const T t = detail::half_expm1(h, h.power());
  const T ratio = t / (1 + t), y = t < T(0.5) ? t - t * ratio : ratio;
  return std::copysign(z > R::kSaturation ? 1 : y, x);
}

/// x - tanh(x); near zero, where that cancels, a polynomial.
template <class T>
DYGRAD_INLINE T tanh_shrink(T x) {
  const T xx = x * x, near_zero = x * xx * detail::polynomial(xx, detail::FloatTraits<T>::kTanhShrink);
  return std::abs(x) < 1 ? near_zero : x - tanh(x);
}

/// y = 1 / (1 + e^-x), all times 2^-kUp to keep it in range. 1 + 2^n is rounded only if n is large, and then put right.
template <class T>
DYGRAD_INLINE T sigmoid(T x) {
  using R = detail::FloatTraits<T>;
  constexpr typename R::Bits kUp = R::kBias / 2;
  constexpr T kOne = 1 / std::bit_cast<T>((kUp + R::kBias) << R::kMantissaBits);
  const detail::ExpReduction<T> h(-x, R::kBias - kUp);
  const T power = h.power(), sum = power + kOne, lost = kOne - (sum - power);
  const T y = kOne / (sum + (lost + power * (h.high + h.tail())));
  return detail::between(x, R::kExpLow, R::kSaturation, T(0), y, T(1));
}

/// sigmoid and its derivative. With e = e^-|x| that is e / (1 + e)^2, which keeps its digits where 1 - sigmoid(x) has
/// none.
template <class T>
struct SigmoidAndSlope {
  T value, slope;
  DYGRAD_INLINE explicit SigmoidAndSlope(T x) {
    const T e = detail::exp_of_negative(-std::abs(x)), larger = 1 / (1 + e), smaller = e * larger;
    value = x > 0 ? larger : smaller;
    slope = smaller * larger;
  }
};

/// log(1 + e^x): with e = e^-|x|, log(1 + e), and x where that is positive.
template <class T>
DYGRAD_INLINE T softplus(T x) {
  const T e = detail::exp_of_negative(-std::abs(x));
  const T u = 1 + e, lost = e - (u - 1);
  return (x > 0 ? x : T(0)) + detail::finite_log(u, lost / u, /*normal=*/true);
}

namespace detail {
// erfc(z) e^(z^2) in (z - 3) / (z + 3) for 0 <= z <= 10.1, right to 2^-29; and erf(z) / z in z^2 for z <= 1/2, to
// 2^-36.
inline constexpr double kErfc[] = {1.79001151260115898e-01,  -3.26233563823728756e-01, 2.45603798067210805e-01,
                                   -1.50115781712799379e-01, 7.16658557963512771e-02,  -2.43942380495672309e-02,
                                   4.26891959072212869e-03,  7.15786546500076144e-04,  -5.94626855881269295e-04,
                                   2.87572182327927066e-05,  5.58636981359870736e-05};
inline constexpr double kErf[] = {1.12837916708208108e+00,  -3.76126385191532742e-01, 1.12837738066913815e-01,
                                  -2.68631200238486911e-02, 5.20030895416005289e-03,  -7.69286305652805251e-04};

/// erfc(z) for z >= 0, to float's precision.
DYGRAD_INLINE double erfc_of_positive(double z) {
  z = z > 11 ? 11 : z;
  return exp(-z * z) * polynomial((z - 3) / (z + 3), kErfc);
}
}  // namespace detail

// Gauss's error function and 1 less that. float32 goes through float64, where e^(-x^2) needs no care; float64 is
// libm's, element by element.
DYGRAD_INLINE float erfc(float x) {
  const double tail = detail::erfc_of_positive(std::abs(static_cast<double>(x)));
  return static_cast<float>(x < 0 ? 2 - tail : tail);
}
DYGRAD_INLINE float erf(float x) {
  const double z = std::abs(static_cast<double>(x));
  const double near_zero = z * detail::polynomial(z * z, detail::kErf);
  return std::copysign(static_cast<float>(z < 0.5 ? near_zero : 1 - detail::erfc_of_positive(z)), x);
}
inline double erfc(double x) { return std::erfc(x); }
inline double erf(double x) { return std::erf(x); }

/// e^(-factor x^2), factor a power of two. The square is that of x's upper half, which is exact, and a rest r, whose
/// e^-r is a polynomial.
template <class T>
DYGRAD_INLINE T exp_neg_square(T x, T factor = 1) {
  using R = detail::FloatTraits<T>;
  using Bits = typename R::Bits;
  constexpr Bits kHalf = Bits(1) << (R::kMantissaBits / 2), kUpper = ~(2 * kHalf - 1);
  x = std::abs(x) > 40 ? 40 : x;
  const T upper = std::bit_cast<T>((std::bit_cast<Bits>(x) + kHalf) & kUpper);
  const T r = factor * ((x - upper) * (x + upper));
  return detail::exp_of_negative(-factor * upper * upper) *
         (1 - r * (1 - r * (T(0.5) - r * (T(1. / 6) - r * T(1. / 24)))));
}

// Phi, the normal distribution function, which with erfc keeps its digits far below zero, and the derivative of
// x Phi(x), Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi).
namespace detail {
inline constexpr double kSqrtHalf = std::numbers::sqrt2 / 2;
inline constexpr double kNormalPeak = std::numbers::inv_sqrtpi * kSqrtHalf;
}  // namespace detail

DYGRAD_INLINE float normal_distribution(float x) {
  const double tail = detail::erfc_of_positive(std::abs(static_cast<double>(x)) * detail::kSqrtHalf) / 2;
  return static_cast<float>(x < 0 ? tail : 1 - tail);
}
inline double normal_distribution(double x) { return std::erfc(x * -detail::kSqrtHalf) / 2; }

DYGRAD_INLINE float gelu_slope(float x) {
  double v = static_cast<double>(x);
  v = v > 15 ? 15 : v < -15 ? -15 : v;
  const double z = std::abs(v) * detail::kSqrtHalf, e = exp(-z * z);
  const double tail = e * detail::polynomial((z - 3) / (z + 3), detail::kErfc) / 2;
  return static_cast<float>((v < 0 ? tail : 1 - tail) + v * (e * detail::kNormalPeak));
}
inline double gelu_slope(double x) {
  x = x > 40 ? 40 : x < -40 ? -40 : x;
  return normal_distribution(x) + x * (exp_neg_square(x, 0.5) * detail::kNormalPeak);
}

}  // namespace dygrad::vec
