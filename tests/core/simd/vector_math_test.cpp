#include <dygrad/core/simd/vector_math.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <dygrad/core/simd/vectorize.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {

/// A function, what it should be, and the largest error in units in the last place. Where the bounds come from: every
/// result is a rounded sum of a leading term, exact or nearly so, and a correction no larger than 0.42 of it; so half a
/// unit for the last rounding, up to half of one for the rounding of the correction, and little for the polynomial.
/// Below the normal numbers exp rounds once more. tanh and sigmoid add a division and the error of their exponential;
/// softplus those of exp and log1p.
template <class T>
struct Function {
  const char* name;
  T (*apply)(T);
  void (*apply_all)(const T* x, T* y, std::size_t count, kernel::InstructionSet set);
  long double (*exact)(long double);
  double bound;
};

template <class T, class F>
Function<T> make(const char* name, F, long double (*exact)(long double), double bound) {
  return {name, [](T x) { return F()(x); },
          [](const T* x, T* y, std::size_t count, kernel::InstructionSet set) {
            kernel::vectorize(
                [=] {
                  DYGRAD_IVDEP
                  for (std::size_t i = 0; i < count; ++i) y[i] = F()(x[i]);
                },
                set);
          },
          exact, bound};
}

long double exact_sigmoid(long double x) {
  const long double e = std::exp(-std::abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
long double exact_softplus(long double x) { return std::fmax(x, 0.0L) + std::log1p(std::exp(-std::abs(x))); }

template <class T>
std::vector<Function<T>> functions() {
  std::vector<Function<T>> list{
      make<T>(
          "exp", [](T x) { return vec::exp(x); }, [](long double x) { return std::exp(x); }, 1),
      make<T>(
          "expm1", [](T x) { return vec::expm1(x); }, [](long double x) { return std::expm1(x); }, 1.5),
      make<T>(
          "log", [](T x) { return vec::log(x); }, [](long double x) { return std::log(x); }, 1),
      make<T>(
          "log1p", [](T x) { return vec::log1p(x); }, [](long double x) { return std::log1p(x); }, 1),
      make<T>(
          "tanh", [](T x) { return vec::tanh(x); }, [](long double x) { return std::tanh(x); }, 2),
      make<T>(
          "sigmoid", [](T x) { return vec::sigmoid(x); }, exact_sigmoid, 2),
      make<T>(
          "softplus", [](T x) { return vec::softplus(x); }, exact_softplus, 2),
  };
  if constexpr (std::is_same_v<T, float>) {
    list.push_back(make<T>(
        "erf", [](T x) { return vec::erf(x); }, [](long double x) { return std::erf(x); }, 0.6));
    list.push_back(make<T>(
        "erfc", [](T x) { return vec::erfc(x); }, [](long double x) { return std::erfc(x); }, 0.6));
  }
  return list;
}

/// The distance of neighbouring numbers of type T at y.
template <class T>
long double unit_at(long double y) {
  const int lowest = std::numeric_limits<T>::min_exponent - std::numeric_limits<T>::digits;
  if (y == 0) return std::ldexp(1.0L, lowest);
  return std::ldexp(1.0L, std::max(std::ilogb(y) + 1 - std::numeric_limits<T>::digits, lowest));
}

/// Of every size and sign, denser where the functions turn.
template <class T>
std::vector<T> arguments() {
  std::mt19937_64 engine(11);
  const auto unit = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
  std::vector<T> x{0,
                   1,
                   2,
                   T(-1),
                   T(-2),
                   std::numeric_limits<T>::min(),
                   std::numeric_limits<T>::denorm_min(),
                   std::numeric_limits<T>::max()};
  for (int i = 0; i < 60'000; ++i) {
    const double size = std::ldexp(1 + unit(), static_cast<int>(engine() % 40) - 30);
    x.push_back(static_cast<T>(engine() % 2 ? size : -size));
    x.push_back(static_cast<T>(4 * unit() - 2));
    x.push_back(static_cast<T>((sizeof(T) == 4 ? 200 : 1500) * (unit() - 0.5)));
    T any;
    const std::uint64_t bits = engine();
    std::memcpy(&any, &bits, sizeof(T));
    x.push_back(any);
  }
  return x;
}

template <class T>
void check_errors() {
  for (const Function<T>& f : functions<T>()) {
    long double worst = 0;
    T worst_at = 0;
    for (const T x : arguments<T>()) {
      const T y = f.apply(x);
      const long double exact = f.exact(x);
      const T rounded = static_cast<T>(exact);
      if (std::isnan(exact) || std::isinf(rounded) || std::isinf(y)) {
        // Just below the largest number an error of one unit may overflow.
        const bool is_last = std::isinf(y) && std::abs(exact) > 0.999999L * std::numeric_limits<T>::max();
        INFO(f.name << " of " << x);
        REQUIRE((std::isnan(exact)
                     ? std::isnan(y)
                     : y == rounded || is_last ||
                           (std::isinf(rounded) && std::abs(y) > 0.999999L * std::numeric_limits<T>::max())));
        continue;
      }
      const long double error = std::abs(y - exact) / unit_at<T>(exact);
      if (error > worst) {
        worst = error;
        worst_at = x;
      }
    }
    INFO(f.name << ", " << sizeof(T) << " bytes, worst at " << worst_at);
    CHECK(static_cast<double>(worst) <= f.bound);
  }
}

template <class T>
void check_ends() {
  const T infinity = std::numeric_limits<T>::infinity();
  for (const Function<T>& f : functions<T>()) {
    for (const T x : {T(0), T(-0.0), infinity, -infinity, std::numeric_limits<T>::quiet_NaN()}) {
      const T y = f.apply(x);
      const T exact = static_cast<T>(f.exact(x));
      INFO(f.name << " of " << x << " is " << y);
      CHECK(
          (std::isnan(exact) ? std::isnan(y) : std::abs(y - exact) <= std::numeric_limits<T>::epsilon() || y == exact));
      if (exact == 0) CHECK(std::signbit(y) == std::signbit(exact));
    }
  }
}

/// The bits that a loop over x gives with every instruction set.
template <class T>
void check_bits(const Function<T>& f, const std::vector<T>& x) {
  using kernel::InstructionSet;
  std::vector<T> wanted(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) wanted[i] = f.apply(x[i]);
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512}) {
    if (set > kernel::instruction_set()) continue;
    std::vector<T> y(x.size());
    f.apply_all(x.data(), y.data(), x.size(), set);
    bool same = true;
    for (std::size_t i = 0; i < x.size(); ++i) {
      same = same && (std::memcmp(&y[i], &wanted[i], sizeof(T)) == 0 || (std::isnan(y[i]) && std::isnan(wanted[i])));
    }
    INFO(f.name << ", " << x.size() << " elements, instruction set " << static_cast<int>(set));
    CHECK(same);
  }
}

}  // namespace

TEST_CASE("vector functions are right to the last places everywhere") {
  check_errors<float>();
  check_errors<double>();
}

TEST_CASE("vector functions treat zero, infinity and NaN as IEEE's do") {
  check_ends<float>();
  check_ends<double>();
}

TEST_CASE("an element's bits depend neither on its place in a vector nor on the instruction set") {
  for (const std::size_t count : {1, 7, 16, 1000}) {
    std::vector<float> x = arguments<float>();
    x.resize(count);
    for (const Function<float>& f : functions<float>()) check_bits(f, x);
    std::vector<double> xx = arguments<double>();
    xx.resize(count);
    for (const Function<double>& f : functions<double>()) check_bits(f, xx);
  }
}
