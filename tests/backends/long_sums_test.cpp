// Sums of millions of products keep their digits: their error grows as that of blocked summation, not with their
// length.
#include <functional>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

class ThreadsGuard {
 public:
  explicit ThreadsGuard(int count) : before_(num_threads()) { set_num_threads(count); }
  ~ThreadsGuard() { set_num_threads(before_); }
  ThreadsGuard(const ThreadsGuard&) = delete;
  ThreadsGuard& operator=(const ThreadsGuard&) = delete;

 private:
  int before_;
};

/// Half the distance of 1 and the next number.
double unit(DType dtype) {
  return (dtype == float32 ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon()) / 2;
}

/// What a sum of `length` products of one sign may be off, relative to itself: blocks of sqrt(length) products, as many
/// sums of blocks, and the products themselves.
double bound(std::int64_t length, DType dtype) {
  return 2 * std::sqrt(static_cast<double>(length)) * unit(dtype) + 2 * unit(dtype);
}

Tensor random_positive(const Shape& shape, DType dtype, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<float> values(static_cast<std::size_t>(num_elements(shape)));
  for (float& value : values) value = std::ldexp(static_cast<float>(engine() >> 8) + 1, -24);
  return kernel::cast(from_vector(values, shape), dtype);
}

/// One value everywhere, and for the second operand of a product another one that makes products exact.
Tensor tenths(const Shape& shape, DType dtype, std::uint32_t seed) { return full(shape, seed == 1 ? 0.1 : 1, dtype); }
Tensor ones_of(const Shape& shape, DType dtype, std::uint32_t) { return full(shape, 1, dtype); }

using Make = Tensor (*)(const Shape& shape, DType dtype, std::uint32_t seed);
constexpr Make kMakers[] = {ones_of, tenths, random_positive};

void check_close(const Tensor& actual, const Tensor& exact, std::int64_t length, double growth = 1) {
  const std::vector<double> a = actual.to_vector<double>(), e = exact.to_vector<double>();
  REQUIRE(a.size() == e.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double error = std::abs(a[i] - e[i]) / e[i];
    if (!(error <= worst)) worst = error;
  }
  INFO("relative error " << worst << " is " << worst / bound(length, actual.dtype()) << " of the bound");
  CHECK(worst <= growth * bound(length, actual.dtype()));
}

/// Runs check(algorithm, problem) for every algorithm that would take less than a few seconds for the problem.
void for_each_algorithm(const Problem& problem, const std::function<void(const Algorithm&)>& check) {
  constexpr double kPatience = 2;  // seconds, as estimated
  for (const auto& backend : all_backends()) {
    for (const Algorithm* algorithm : backend->algorithms()) {
      if (!algorithm->supports(problem)) continue;
      const bool defines = backend->name() == "reference";
      if (!defines && algorithm->estimate(problem) > kPatience) continue;
      for (const int threads : {1, 2}) {
        const ThreadsGuard guard(threads);
        INFO(backend->name() << ":" << algorithm->name() << " on " << threads << " threads");
        check(*algorithm);
      }
    }
  }
}

/// Sums over rows in pairs: rounded in float64 about as often as there are doublings of the length.
double pairwise(const std::vector<double>& v, std::size_t first, std::size_t last) {
  if (last - first <= 64) {
    double sum = 0;
    for (std::size_t i = first; i < last; ++i) sum += v[i];
    return sum;
  }
  const std::size_t middle = first + (last - first) / 2;
  return pairwise(v, first, middle) + pairwise(v, middle, last);
}

}  // namespace

TEST_CASE("a dot product of 2^25 numbers is right to a few units on every algorithm", "[slow]") {
  constexpr std::int64_t kLength = 1 << 25;
  for (const DType dtype : {float32, float64}) {
    for (const Make make : kMakers) {
      const Tensor a = make({1, kLength}, dtype, 1), b = make({kLength, 1}, dtype, 2);
      std::vector<double> products = a.to_vector<double>();
      const std::vector<double> factors = b.to_vector<double>();
      for (std::size_t i = 0; i < products.size(); ++i) products[i] *= factors[i];
      const double exact = pairwise(products, 0, products.size());
      const Problem problem{.kind = Kind::matmul, .dtype = dtype, .x = a.shape(), .w = b.shape(), .y = {1, 1}};
      for_each_algorithm(problem, [&](const Algorithm& algorithm) {
        check_close(algorithm.run(problem, a, b, {}), full({1, 1}, exact, float64), kLength);
      });
    }
  }
}

TEST_CASE("long matrix products keep their digits in every orientation and batch") {
  struct Case {
    Shape a, b;
  };
  constexpr std::int64_t kLength = 1 << 18;
  const Case cases[] = {{{2, kLength}, {kLength, 3}},
                        {{17, kLength / 4}, {kLength / 4, 35}},
                        {{2, 1, kLength}, {2, kLength, 2}},
                        {{1, 50176}, {50176, 2}}};
  for (const DType dtype : {float32, float64}) {
    for (const Make make : kMakers) {
      for (const Case& c : cases) {
        const Tensor a = make(c.a, dtype, 1), b = make(c.b, dtype, 2);
        Shape shape = a.shape();
        shape[shape.rank() - 1] = b.dim(-1);
        const Problem problem{.kind = Kind::matmul, .dtype = dtype, .x = a.shape(), .w = b.shape(), .y = shape};
        const Tensor exact = backend("reference").matmul(kernel::cast(a, float64), kernel::cast(b, float64));
        const auto turned = [](const Tensor& t) {
          return view::transpose(kernel::clone(view::transpose(t, -1, -2), MemoryFormat::row_major), -1, -2);
        };
        for_each_algorithm(problem, [&](const Algorithm& algorithm) {
          check_close(algorithm.run(problem, a, b, {}), exact, a.dim(-1));
          check_close(algorithm.run(problem, turned(a), turned(b), {}), exact, a.dim(-1));
        });
      }
    }
  }
}

namespace {

struct LongSum {
  ConvShape shape;
  std::vector<Kind> kinds;
};

void check_long_sums(std::span<const LongSum> sums) {
  for (const DType dtype : {float32, float64}) {
    for (const Make make : {tenths, random_positive}) {
      for (const auto& [shape, kinds] : sums) {
        const ConvShape& s = shape;
        const ConvOperands in(s, dtype,
                              [&](const Shape& of, DType type, std::uint32_t seed) { return make(of, type, seed); });
        for (const Kind kind : kinds) {
          const ConvOperands doubled(s, kernel::cast(in.x, float64), kernel::cast(in.w, float64),
                                     kernel::cast(in.g, float64));
          const Tensor exact = doubled.run(backend("reference"), kind);
          const Conv2DParams p = s.params();
          const Problem problem{kind, dtype, &p, in.x.shape(), in.w.shape(), in.g.shape()};
          for_each_algorithm(problem, [&](const Algorithm& algorithm) {
            INFO(s << ", " << name_of(kind) << ", " << name_of(dtype));
            // Tiles of Winograd mix neighbours, of which all are about as large here; see magnitude_of.
            const double growth = !mixes_neighbours(algorithm) ? 1 : keeps_whole_numbers(algorithm) ? 12.25 : 121;
            check_close(in.run(algorithm, kind), exact, reduction_length(s, kind), growth);
          });
        }
      }
    }
  }
}

constexpr Kind kForward = Kind::conv2d_transpose, kData = Kind::conv2d, kWeights = Kind::conv2d_weights;

}  // namespace

TEST_CASE("long sums over channels and taps keep their digits on every algorithm", "[slow]") {
  // clang-format off
  const LongSum sums[] = {
      // name                     n    cin     h     w   cout    kh   kw sh sw    ph   pw dh dw  g  eh  ew
      {{"many channels",          1, 1 << 18,  1,    1,     2,    1,   1, 1, 1,    0,   0, 1, 1, 1,  0,  0}, {kForward}},
      {{"many channels, 3x3",     1,   20000,  4,    4,     2,    3,   3, 1, 1,    1,   1, 1, 1, 1,  0,  0}, {kForward}},
      {{"channels in groups",     2, 1 << 17,  1,    2,     4,    1,   1, 1, 1,    0,   0, 1, 1, 2,  0,  0}, {kForward}},
      {{"many filters",           1,       2,  1,    1, 1<<18,    1,   1, 1, 1,    0,   0, 1, 1, 1,  0,  0}, {kData}},
      {{"many filters, 3x3",      1,       2,  4,    4, 20000,    3,   3, 1, 1,    1,   1, 1, 1, 1,  0,  0}, {kData}},
      {{"filters in groups",      2,       4,  1,    2, 1<<17,    2,   2, 1, 1,    0,   0, 1, 1, 2,  0,  0}, {kData}},
      {{"whole image at once",    1,       1,  1,    1,     1,  512, 512, 1, 1,    0,   0, 1, 1, 1,  0,  0}, {kData}},
      {{"large kernel, stride",   1,       2,  3,    2,     3,  150, 160, 2, 3,   20,  31, 1, 1, 1,  1,  2}, {kData}},
      {{"depthwise, whole image", 1,       5,  1,    1,     5,  400, 300, 1, 1,    0,   0, 1, 1, 5,  0,  0}, {kData}},
      {{"image onto one pixel",   1,       1, 180, 200,     1,  180, 200, 1, 1,  179, 199, 1, 1, 1,  0,  0}, {kForward}},
      {{"depthwise, one pixel",   1,       3, 180, 200,     3,  180, 200, 1, 1,  179, 199, 1, 1, 3,  0,  0}, {kForward}},
  };
  // clang-format on
  check_long_sums(sums);
}

TEST_CASE("long sums over pixels keep their digits on every algorithm", "[slow]") {
  // clang-format off
  const LongSum sums[] = {
      // name                     n    cin     h     w   cout    kh   kw sh sw    ph   pw dh dw  g  eh  ew
      {{"one large image",        1,       1, 512,  512,    1,    1,   1, 1, 1,    0,   0, 1, 1, 1,  0,  0}, {kWeights}},
      {{"images, 3x3",            2,       2, 224,  224,    3,    3,   3, 1, 1,    1,   1, 1, 1, 1,  0,  0}, {kWeights}},
      {{"images, stride 2",       4,       9, 112,  112,    5,    4,   4, 2, 2,    1,   1, 1, 1, 1,  0,  0}, {kWeights}},
      {{"images, groups",         4,       6, 112,  112,    4,    3,   2, 2, 1,    1,   0, 1, 2, 2,  1,  0}, {kWeights}},
      {{"images, depthwise",      1,      13, 224,  224,   13,    3,   3, 1, 1,    1,   1, 1, 1,13,  0,  0}, {kWeights}},
      {{"one long row",           1,       2,   1,1<<18,    2,    1,   3, 1, 1,    0,   1, 1, 1, 1,  0,  0}, {kWeights}},
      {{"depthwise, long row",    1,       4,   1,1<<18,    4,    1,   3, 1, 1,    0,   1, 1, 1, 4,  0,  0}, {kWeights}},
      {{"images of one pixel", 1<<18,      2,   1,    1,    3,    2,   2, 2, 2,    0,   0, 1, 1, 1,  0,  0}, {kWeights}},
      {{"layer",                  5,      16,  64,   64,   16,    3,   3, 1, 1,    1,   1, 1, 1, 1,  0,  0}, {kWeights}},
  };
  // clang-format on
  check_long_sums(sums);
}

TEST_CASE("sums over 2^24 pixels keep their digits on every algorithm", "[slow]") {
  // clang-format off
  const LongSum sums[] = {
      {{"one channel",            1,       1,4096, 4096,    1,    1,   1, 1, 1,    0,   0, 1, 1, 1,  0,  0}, {kWeights}},
      {{"one channel, 3x3",      16,       1,1024, 1024,    1,    3,   3, 1, 1,    1,   1, 1, 1, 1,  0,  0}, {kWeights}},
      {{"depthwise",             16,       2,1024, 1024,    2,    2,   2, 2, 2,    0,   0, 1, 1, 2,  0,  0}, {kWeights}},
      {{"whole image at once",    1,       1,   1,    1,    1, 4096,4096, 1, 1,    0,   0, 1, 1, 1,  0,  0}, {kData}},
  };
  // clang-format on
  check_long_sums(sums);
}
