#include <dygrad/core/creation/random.h>

#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/print.h>
#include <dygrad/tests/support/catch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

using namespace dygrad;
using dygrad::testing::MessageContains;

namespace {

constexpr std::int64_t kDraws = 1 << 20;
// Sample means are normal about the true one; six of their deviations are passed by chance once in 5e8 draws of a seed.
constexpr double kDeviations = 6;

struct Moments {
  double mean, variance;
};
Moments moments(const Tensor& x) {
  const std::vector<double> values = x.to_vector<double>();
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.) / n;
  double squares = 0;
  for (double v : values) squares += (v - mean) * (v - mean);
  return {mean, squares / n};
}

/// Checks mean and variance of kDraws samples against a distribution with that variance and fourth central moment.
void check_moments(const Tensor& x, double mean, double variance, double fourth) {
  const Moments got = moments(x);
  const double n = static_cast<double>(kDraws);
  CHECK(std::abs(got.mean - mean) < kDeviations * std::sqrt(variance / n));
  CHECK(std::abs(got.variance - variance) < kDeviations * std::sqrt((fourth - variance * variance) / n));
}

std::vector<std::uint32_t> words(std::uint64_t key, std::uint64_t low, std::uint64_t high) {
  const detail::PhiloxBlock block = detail::philox(key, low, high);
  return {block.word, block.word + 4};
}

}  // namespace

TEST_CASE("philox gives the known answers of Random123") {
  // kat_vectors of Random123 1.14, philox4x32 with 10 rounds.
  using Words = std::vector<std::uint32_t>;
  constexpr std::uint64_t kOnes = ~std::uint64_t{0};
  CHECK(words(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words(kOnes, kOnes, kOnes) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("draws do not depend on the number of threads") {
  const int threads = num_threads();
  const auto draw_all = [] {
    Generator g(42);
    std::vector<std::vector<double>> all;
    for (DType dtype : {float32, float64}) {
      all.push_back(uniform({50001}, -1, 1, {dtype, &g}).to_vector<double>());
      all.push_back(normal({50001}, 0, 1, {dtype, &g}).to_vector<double>());
      all.push_back(truncated_normal({50001}, 0, 1, {dtype, &g}).to_vector<double>());
      all.push_back(bernoulli({50001}, 0.3, {dtype, &g}).to_vector<double>());
    }
    all.push_back(randint({50001}, 0, 1000, &g).to_vector<double>());
    return all;
  };
  set_num_threads(1);
  const auto alone = draw_all();
  for (int count : {2, 3}) {
    set_num_threads(count);
    CHECK(draw_all() == alone);
  }
  set_num_threads(threads);
}

TEST_CASE("a prefix of a draw equals a shorter draw") {
  Generator a(5), b(5);
  const std::vector<float> more = normal({1000}, 0, 1, {.generator = &a}).to_vector<float>();
  const std::vector<float> fewer = normal({77}, 0, 1, {.generator = &b}).to_vector<float>();
  CHECK(std::equal(fewer.begin(), fewer.end(), more.begin()));
}

TEST_CASE("a generator's state can be kept and restored") {
  Generator g(9);
  (void)uniform({10}, 0, 1, {.generator = &g});
  const Generator::State state = g.state();
  const std::vector<float> first = uniform({10}, 0, 1, {.generator = &g}).to_vector<float>();
  CHECK(g.state() != state);
  g.set_state(state);
  CHECK(uniform({10}, 0, 1, {.generator = &g}).to_vector<float>() == first);
  CHECK(uniform({10}, 0, 1, {.generator = &g}).to_vector<float>() != first);
}

TEST_CASE("the default generator starts again from a seed") {
  manual_seed(3);
  const std::vector<float> first = uniform({5}).to_vector<float>();
  manual_seed(3);
  CHECK(uniform({5}).to_vector<float>() == first);
  manual_seed(4);
  CHECK(uniform({5}).to_vector<float>() != first);
}

TEMPLATE_TEST_CASE("uniform numbers fill their interval evenly", "", float, double) {
  Generator g(1);
  const RandomOptions options{dtype_of<TestType>(), &g};
  const Tensor x = uniform({kDraws}, -2, 3, options);
  const double width = 5;
  check_moments(x, 0.5, width * width / 12, std::pow(width, 4) / 80);
  const std::vector<TestType> values = x.to_vector<TestType>();
  CHECK(*std::min_element(values.begin(), values.end()) >= TestType{-2});
  CHECK(*std::max_element(values.begin(), values.end()) < TestType{3});
  // Chi-squared over 64 bins has mean 63 and variance 126.
  std::vector<double> bins(64);
  for (TestType v : values) ++bins[static_cast<std::size_t>((static_cast<double>(v) + 2) / width * 64)];
  const double wanted = static_cast<double>(kDraws) / 64;
  double chi2 = 0;
  for (double count : bins) chi2 += (count - wanted) * (count - wanted) / wanted;
  CHECK(std::abs(chi2 - 63) < kDeviations * std::sqrt(126.));
}

TEST_CASE("uniform numbers have 24 and 53 random bits") {
  Generator g(2);
  bool odd_float = false, odd_double = false;
  for (float v : uniform({1000}, 0, 1, {float32, &g}).to_vector<float>()) {
    CHECK(std::fmod(v * 0x1p24F, 1.F) == 0);
    odd_float |= std::fmod(v * 0x1p24F, 2.F) == 1;
  }
  for (double v : uniform({1000}, 0, 1, {float64, &g}).to_vector<double>()) {
    CHECK(std::fmod(v * 0x1p53, 1.) == 0);
    odd_double |= std::fmod(v * 0x1p53, 2.) == 1;
  }
  CHECK(odd_float);
  CHECK(odd_double);
}

TEST_CASE("uniform never gives its upper bound, even where rounding would") {
  Generator g(2);
  const float next = std::nextafter(1.F, 2.F);
  for (float v : uniform({1000}, 1, next, {float32, &g}).to_vector<float>()) CHECK(v == 1.F);
  CHECK(uniform({3}, 2, 2).to_vector<float>() == std::vector<float>{2, 2, 2});
}

TEMPLATE_TEST_CASE("normal numbers have the moments of the normal distribution", "", float, double) {
  Generator g(3);
  const RandomOptions options{dtype_of<TestType>(), &g};
  const Tensor x = normal({kDraws}, 1, 2, options);
  check_moments(x, 1, 4, 3 * 16);
  // Share beyond two deviations: erfc(sqrt(2)) = 0.0455, a binomial count.
  const std::vector<double> values = x.to_vector<double>();
  const auto beyond =
      static_cast<double>(std::count_if(values.begin(), values.end(), [](double v) { return std::abs(v - 1) > 4; }));
  const double p = std::erfc(std::sqrt(2.)), n = static_cast<double>(kDraws);
  CHECK(std::abs(beyond - n * p) < kDeviations * std::sqrt(n * p * (1 - p)));
  CHECK(std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }));
}

TEST_CASE("neighbouring numbers of a draw are not correlated") {
  Generator g(4);
  for (DType dtype : {float32, float64}) {
    const std::vector<double> x = normal({kDraws}, 0, 1, {dtype, &g}).to_vector<double>();
    for (std::size_t lag : {1U, 2U, 3U, 4U, 256U}) {
      double sum = 0;
      for (std::size_t i = lag; i < x.size(); ++i) sum += x[i] * x[i - lag];
      // Each product has mean 0 and variance 1.
      CHECK(std::abs(sum) < kDeviations * std::sqrt(static_cast<double>(kDraws)));
    }
  }
}

TEMPLATE_TEST_CASE("truncated normal numbers stay within two deviations", "", float, double) {
  Generator g(5);
  const Tensor x = truncated_normal({kDraws}, -1, 0.5, {dtype_of<TestType>(), &g});
  // With phi the density and Z = erf(sqrt 2): E z^2 = 1 - 4 phi(2) / Z, E z^4 = 3 E z^2 - 16 phi(2) / Z.
  const double phi = std::exp(-2.) / std::sqrt(2 * 3.14159265358979323846), z = std::erf(std::sqrt(2.));
  const double second = 1 - 4 * phi / z, fourth = 3 * second - 16 * phi / z;
  CHECK(std::abs(std::sqrt(second) - 0.8796) < 5e-5);  // the figure in the documentation
  check_moments(x, -1, second / 4, fourth / 16);
  const std::vector<TestType> values = x.to_vector<TestType>();
  CHECK(*std::min_element(values.begin(), values.end()) >= TestType{-2});
  CHECK(*std::max_element(values.begin(), values.end()) <= TestType{0});
}

TEST_CASE("integers are drawn evenly from a half-open interval") {
  Generator g(6);
  std::vector<double> counts(7);
  for (std::int64_t v : randint({kDraws}, -3, 4, &g).to_vector<std::int64_t>())
    ++counts.at(static_cast<std::size_t>(v + 3));
  const double n = static_cast<double>(kDraws), p = 1. / 7;
  for (double count : counts) CHECK(std::abs(count - n * p) < kDeviations * std::sqrt(n * p * (1 - p)));
  CHECK(randint({4}, 5, 6, &g).to_vector<std::int64_t>() == std::vector<std::int64_t>(4, 5));
}

TEST_CASE("the widest integer intervals do not overflow") {
  Generator g(7);
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  int negative = 0;
  for (std::int64_t v : randint({1000}, kMin, kMax, &g).to_vector<std::int64_t>()) negative += v < 0;
  CHECK(std::abs(negative - 500) < kDeviations * std::sqrt(250.));
  // Three quarters of 2^64: one draw in four is rejected and drawn again.
  int low = 0;
  for (std::int64_t v : randint({1000}, kMin, kMax / 2, &g).to_vector<std::int64_t>()) {
    CHECK(v < kMax / 2);
    low += v < kMin / 2;
  }
  CHECK(std::abs(low - 1000. / 3) < kDeviations * std::sqrt(1000. * 2 / 9));
}

TEST_CASE("a permutation holds each number once, in an order of its own") {
  Generator g(8);
  std::vector<std::int64_t> x = permutation(10000, &g).to_vector<std::int64_t>();
  const std::vector<std::int64_t> y = permutation(10000, &g).to_vector<std::int64_t>();
  CHECK(x != y);
  std::sort(x.begin(), x.end());
  CHECK(x == arange(10000).to_vector<std::int64_t>());
  CHECK(permutation(0, &g).num_elements() == 0);
  CHECK(permutation(1, &g).item() == 0);
}

TEST_CASE("all orders of three items are equally likely") {
  Generator g(9);
  constexpr int kRounds = 12000;
  std::map<std::vector<std::int64_t>, int> counts;
  for (int i = 0; i < kRounds; ++i) ++counts[permutation(3, &g).to_vector<std::int64_t>()];
  CHECK(counts.size() == 6);
  for (const auto& [order, count] : counts)
    CHECK(std::abs(count - kRounds / 6.) < kDeviations * std::sqrt(kRounds * 5. / 36));
}

TEST_CASE("bernoulli numbers are one with their probability") {
  Generator g(10);
  const double n = static_cast<double>(kDraws), p = 0.3;
  const std::vector<float> x = bernoulli({kDraws}, p, {.generator = &g}).to_vector<float>();
  const auto ones_drawn = static_cast<double>(std::count(x.begin(), x.end(), 1.F));
  CHECK(std::abs(ones_drawn - n * p) < kDeviations * std::sqrt(n * p * (1 - p)));
  CHECK(static_cast<double>(std::count(x.begin(), x.end(), 0.F)) == n - ones_drawn);
  CHECK(bernoulli({1000}, 0, {boolean, &g}).to_vector<bool>() == std::vector<bool>(1000, false));
  CHECK(bernoulli({1000}, 1, {uint8, &g}).to_vector<std::uint8_t>() == std::vector<std::uint8_t>(1000, 1));
}

TEST_CASE("random tensors may be empty or a single number") {
  Generator g(11);
  CHECK(uniform({0, 3}, 0, 1, {.generator = &g}).num_elements() == 0);
  CHECK(g.state() == Generator::State{11, 0});
  CHECK(normal({}, 0, 1, {.generator = &g}).rank() == 0);
  CHECK(g.state().position == 1);
}

TEST_CASE("impossible parameters are refused and leave the generator alone") {
  Generator g(12);
  const double nan = std::nan("");
  CHECK_THROWS_MATCHES(uniform({2}, 1, 0, {.generator = &g}), InvalidArgument,
                       MessageContains("uniform", "low <= high", "[1, 0)"));
  CHECK_THROWS_AS(uniform({2}, nan, 1, {.generator = &g}), InvalidArgument);
  CHECK_THROWS_AS(uniform({2}, 0, HUGE_VAL, {.generator = &g}), InvalidArgument);
  CHECK_THROWS_AS(uniform({2}, -3e38, 3e38, {.generator = &g}), InvalidArgument);
  CHECK_THROWS_MATCHES(uniform({2}, 0, 1, {int64, &g}), DtypeError, MessageContains("uniform", "int64"));
  CHECK_THROWS_MATCHES(normal({2}, 0, -1, {.generator = &g}), InvalidArgument,
                       MessageContains("normal", "std_dev >= 0", "-1"));
  CHECK_THROWS_AS(truncated_normal({2}, 0, nan, {.generator = &g}), InvalidArgument);
  CHECK_THROWS_MATCHES(randint({2}, 3, 3, &g), InvalidArgument, MessageContains("randint", "[3, 3)"));
  CHECK_THROWS_AS(permutation(-1, &g), InvalidArgument);
  CHECK_THROWS_MATCHES(bernoulli({2}, 1.5, {.generator = &g}), InvalidArgument, MessageContains("[0, 1]", "1.5"));
  CHECK_THROWS_AS(bernoulli({2}, nan, {.generator = &g}), InvalidArgument);
  CHECK_THROWS_AS(normal({-1}, 0, 1, {.generator = &g}), ShapeError);
  CHECK(g.state().position == 0);
}
