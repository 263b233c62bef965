// What infinities, numbers that are none, and outliers do to a convolution: the same in every algorithm.
#include <algorithm>
#include <cmath>

#include <dygrad/core/base/parallel.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Restores the number of threads.
class Threads {
 public:
  Threads() = default;
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = num_threads();
};

/// Problems of all kinds, many of which Winograd's tiles take: small enough for plain loops.
std::vector<ConvShape> generated_shapes(std::size_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  const auto any = [&](std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(engine() % static_cast<std::uint32_t>(last - first + 1));
  };
  std::vector<ConvShape> shapes;
  while (shapes.size() < count) {
    ConvShape s = kSmallShapes[0];
    s.name = "generated";
    s.n = any(1, 3);
    s.groups = any(0, 3) == 0 ? any(2, 3) : 1;
    s.cin = s.groups * (any(0, 5) == 0 ? 1 : any(1, 20)), s.cout = s.groups * (any(0, 5) == 0 ? 1 : any(1, 20));
    s.h = any(1, 11), s.w = any(1, 11);
    s.sh = any(1, 3), s.sw = any(0, 2) == 0 ? any(1, 3) : s.sh;
    s.dh = any(0, 2) == 0 ? any(2, 3) : 1, s.dw = any(0, 2) == 0 ? any(1, 3) : s.dh;
    s.kh = any(1, 6), s.kw = any(0, 2) == 0 ? any(1, 6) : s.kh;
    s.ph = any(0, 3), s.pw = any(0, 3);
    s.extra_h = any(0, s.sh - 1), s.extra_w = any(0, s.sw - 1);
    if (any(0, 7) == 0) s.groups = s.cin = s.cout = any(3, 20);
    if (s.oh() >= 1 && s.ow() >= 1) shapes.push_back(s);
  }
  return shapes;
}

std::string text(const ConvShape& s) {
  std::string all;
  for (const std::int64_t value :
       {s.n, s.cin, s.h, s.w, s.cout, s.kh, s.kw, s.sh, s.sw, s.ph, s.pw, s.dh, s.dw, s.groups, s.extra_h, s.extra_w})
    all += std::to_string(value) + " ";
  return all;
}

Tensor planted(const Tensor& t, const std::vector<double>& values, std::mt19937& engine) {
  Tensor copy = kernel::clone(t);
  dispatch_float(t.dtype(), "planted", [&]<class T>() {
    for (const double value : values)
      copy.mutable_data<T>()[engine() % static_cast<std::uint64_t>(t.num_elements())] = static_cast<T>(value);
  });
  return copy;
}

/// Operands with these values at random places of x, w or g.
ConvOperands with_planted(const ConvOperands& in, char where, const std::vector<double>& values, std::uint32_t seed) {
  std::mt19937 engine(seed);
  ConvOperands changed = in;
  Tensor& chosen = where == 'x' ? changed.x : where == 'w' ? changed.w : changed.g;
  chosen = planted(chosen, values, engine);
  return changed;
}

/// Calls check(algorithm, compute) for every algorithm that takes the problem, those that round to bfloat16 included.
template <class Check>
void for_each_algorithm(const ConvShape& shape, Kind kind, DType dtype, const Check& check) {
  const Conv2DParams p = shape.params();
  for (const MathMode math_mode : {MathMode::standard, MathMode::bfloat16}) {
    const Problem problem{kind, dtype, &p, shape.x_shape(), shape.w_shape(), shape.y_shape(), math_mode};
    for (const auto& backend : all_backends()) {
      for (const Algorithm* algorithm : backend->algorithms()) {
        const bool rounds = algorithm->name().starts_with("bf16");
        if (rounds != (math_mode == MathMode::bfloat16) || !algorithm->supports(problem)) continue;
        INFO(backend->name() << ":" << algorithm->name() << ", " << name_of(kind) << ", " << name_of(dtype) << ", "
                             << num_threads() << " threads, " << shape << " " << text(shape));
        check(*algorithm);
      }
    }
  }
}

/// What a number is, if it is not finite.
int state_of(double value) { return std::isnan(value) ? 2 : std::isinf(value) ? (value > 0 ? 1 : -1) : 0; }

/// The result is infinite, not a number or finite exactly where direct sums are. Finite numbers are off by no more than
/// a part of the sum of their own absolute products, and what rounding costs everywhere. Sums that may overflow on
/// their way are left out.
void check_states(const Tensor& actual, const Tensor& expected, const Tensor& magnitude, double part, double rounding) {
  const std::vector<double> a = actual.to_vector<double>(), e = expected.to_vector<double>(),
                            m = magnitude.to_vector<double>();
  const double most = actual.dtype() == DType::float32 ? static_cast<double>(std::numeric_limits<float>::max())
                                                       : std::numeric_limits<double>::max();
  std::size_t wrong = 0, where = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool may_overflow = state_of(e[i]) == 0 && !(m[i] < most / 2);
    if (may_overflow) continue;
    const bool is_right =
        state_of(a[i]) == state_of(e[i]) && (state_of(e[i]) != 0 || std::abs(a[i] - e[i]) <= part * m[i] + rounding);
    if (!is_right && wrong++ == 0) where = i;
  }
  if (wrong > 0) {
    INFO(wrong << " of " << a.size() << " are wrong; element " << where << ": got " << a[where] << ", expected "
               << e[where] << ", magnitude " << m[where]);
    CHECK(wrong == 0);
  } else {
    SUCCEED();
  }
}

Tensor magnitude_of_sums(const ConvOperands& in, Kind kind) {
  return ConvOperands(in.shape, absolute(in.x), absolute(in.w), absolute(in.g)).run(backend("reference"), kind);
}

bool reads(Kind kind, char where) {
  return where == (kind == Kind::conv2d_transpose ? 'x'
                   : kind == Kind::conv2d         ? 'g'
                                                  : 'x') ||
         where == (kind == Kind::conv2d_weights ? 'g' : 'w');
}

/// Runs all algorithms with these values at random places of x, w or g, with one thread and two.
void check_all(const ConvOperands& even, char where, const std::vector<double>& values, std::uint32_t seed) {
  constexpr double kPart = 0.01;
  const Threads restored;
  const ConvOperands in = with_planted(even, where, values, seed);
  for (const Kind kind : kDirections) {
    if (!reads(kind, where)) continue;
    const Tensor expected = in.run(backend("reference"), kind), magnitude = magnitude_of_sums(in, kind);
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      for_each_algorithm(in.shape, kind, in.x.dtype(), [&](const Algorithm& algorithm) {
        // Factors rounded to 8 digits are off by a part of 2^-8 of themselves, tiles by that of their largest number.
        const bool rounds = algorithm.name().starts_with("bf16");
        const double unit = gamma(reduction_length(in.shape, kind), in.x.dtype()) + (rounds ? std::ldexp(1, -7) : 0);
        const Tensor of_tiles = magnitude_of(algorithm, even, kind);
        const double rounding = mixes_neighbours(algorithm) ? unit * std::ranges::max(of_tiles.to_vector<double>()) : 0;
        check_states(in.run(algorithm, kind), expected, magnitude, kPart + (rounds ? std::ldexp(1, -6) : 0), rounding);
      });
    }
  }
}

/// Makes random values, times `scale` where the operand is among these.
auto scaled_values(double scale, std::string_view operands) {
  return [scale, operands](const Shape& shape, DType dtype, std::uint32_t seed) {
    std::vector<double> values = random_values(shape, float64, seed).to_vector<double>();
    if (operands.find("xwg"[seed - 1]) != std::string_view::npos) {
      for (double& value : values) value *= scale;
    }
    return kernel::cast(from_vector(values, shape), dtype);
  };
}

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Layers that Winograd's tiles of both sizes take.
constexpr ConvShape kTiled[] = {
    {"k3", 2, 18, 9, 11, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 0, 0},
    {"k4 s2", 2, 24, 6, 5, 12, 4, 4, 2, 2, 1, 1, 1, 1, 1, 0, 0},
    {"k5 s2, cropped", 1, 17, 5, 7, 9, 5, 5, 2, 2, 2, 2, 1, 1, 1, 1, 1},
    {"k3 s2 d2", 1, 16, 12, 11, 9, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1, 0},
    {"k2, two groups", 2, 24, 10, 10, 20, 2, 2, 1, 1, 0, 0, 1, 1, 2, 0, 0},
};

}  // namespace

TEST_CASE("results are finite, infinite or undefined exactly where direct sums are") {
  std::vector<ConvShape> shapes = generated_shapes(24, 7);
  shapes.insert(shapes.end(), std::begin(kTiled), std::end(kTiled));
  std::uint32_t seed = 1;
  for (const ConvShape& shape : shapes) {
    for (const DType dtype : {float32, float64}) {
      const ConvOperands in(shape, dtype, random_values);
      for (const char where : {'x', 'w', 'g'}) {
        const std::vector<double> values = seed % 3 == 0   ? std::vector<double>{kInf, -kInf}
                                           : seed % 3 == 1 ? std::vector<double>{kInf}
                                                           : std::vector<double>{-kInf, kNan};
        check_all(in, where, values, ++seed);
      }
    }
  }
}

TEST_CASE("large and small numbers change nothing of where results are finite") {
  std::uint32_t seed = 1;
  for (const ConvShape& shape : kTiled) {
    for (const auto& [dtype, scale] : {std::pair{float32, 1e15}, {float32, 1e-15}, {float64, 1e80}, {float64, 1e-80}}) {
      const ConvOperands in(shape, dtype, scaled_values(scale, "xwg"));
      for (const char where : {'x', 'w', 'g'}) {
        check_all(in, where, {kInf}, ++seed);
        check_all(in, where, {1e8 * scale}, ++seed);
      }
    }
  }
}

TEST_CASE("an outlier among numbers whose squares are none takes no digits of its neighbours") {
  std::uint32_t seed = 1;
  for (const ConvShape& shape : kTiled) {
    for (const auto& [dtype, scale] : {std::pair{float32, 1e-27}, {float64, 1e-150}, {float64, 1e-162}}) {
      check_all(ConvOperands(shape, dtype, scaled_values(scale, "x")), 'x', {1e6 * scale}, ++seed);
      check_all(ConvOperands(shape, dtype, scaled_values(scale, "g")), 'g', {1e6 * scale}, ++seed);
    }
  }
}

TEST_CASE("zero times infinity is undefined where direct sums have that product, and only there") {
  // Images with columns of zeros, as after relu; weights with zeros, as after pruning.
  const auto with_zeros = [](const Shape& shape, DType dtype, std::uint32_t seed) {
    const Tensor values = random_integers(shape, dtype, seed);
    const Tensor result = kernel::clone(values);
    dispatch_float(dtype, "with_zeros", [&]<class T>() {
      for (T& value : std::span(result.mutable_data<T>(), static_cast<std::size_t>(result.num_elements())))
        value = std::max(value, T{0});
    });
    return result;
  };
  std::uint32_t seed = 1;
  for (const ConvShape& shape : generated_shapes(16, 11)) {
    const ConvOperands in(shape, float32, with_zeros);
    for (const char where : {'x', 'w', 'g'}) check_all(in, where, {kInf}, ++seed);
  }
}

TEST_CASE("a few huge numbers do not take the digits of their neighbours") {
  std::uint32_t seed = 1;
  for (const ConvShape& shape : kTiled) {
    for (const DType dtype : {float32, float64}) {
      const ConvOperands in(shape, dtype, random_values);
      for (const double value : {1e3, 1e5, 1e8, -1e30}) {
        for (const char where : {'x', 'w', 'g'}) check_all(in, where, {value}, ++seed);
      }
    }
  }
}

TEST_CASE("products of matrices are finite, infinite or undefined exactly where direct sums are") {
  std::mt19937 engine(5);
  for (const std::int64_t size : {1, 3, 17, 40, 65}) {
    for (const DType dtype : {float32, float64}) {
      // Zeros in both, which make infinities undefined.
      const Tensor a = random_integers({size, size + 2}, dtype, 1), b = random_integers({size + 2, size + 1}, dtype, 2);
      for (const bool left : {false, true}) {
        const std::vector<double> values = {kInf, -kInf};
        const Tensor x = left ? planted(a, values, engine) : a, w = left ? b : planted(b, values, engine);
        const std::vector<double> expected = backend("reference").matmul(x, w).to_vector<double>();
        for (const std::string_view name : backend_names()) {
          const Problem problem{Kind::matmul, dtype, nullptr, x.shape(), w.shape(), {size, size + 1}};
          if (!backend(name).supports(problem)) continue;
          const std::vector<double> actual = backend(name).matmul(x, w).to_vector<double>();
          INFO(name << ", " << name_of(dtype) << ", " << size);
          CHECK(std::ranges::equal(actual, expected, [](double p, double q) { return state_of(p) == state_of(q); }));
        }
      }
    }
  }
}
