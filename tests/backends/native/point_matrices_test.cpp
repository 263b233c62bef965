// The matrices of tiles, against products of polynomials written out.
#include <dygrad/backends/native/microkernels/point_matrices.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad::native;
using namespace dygrad::testing;

namespace {

template <std::size_t kRows, std::size_t kColumns>
std::array<double, kRows> times(const SmallMatrix<kRows, kColumns>& matrix, const std::array<double, kColumns>& x) {
  std::array<double, kRows> y{};
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) y[i] += matrix[i][j] * x[j];
  }
  return y;
}

/// C (A x . B w) against the product of the polynomials x and w.
template <std::size_t kPixels, std::size_t kTaps>
void check_tile(const std::array<double, kPixels>& x, const std::array<double, kTaps>& w) {
  constexpr std::size_t kPoints = kPixels + kTaps - 1;
  std::array<double, kPoints> expected{};
  for (std::size_t i = 0; i < kPixels; ++i) {
    for (std::size_t j = 0; j < kTaps; ++j) expected[i + j] += x[i] * w[j];
  }
  const auto a = times(evaluation<kPoints, kPixels>(), x);
  const auto b = times(scaled_evaluation<kPoints, kTaps>(), w);
  std::array<double, kPoints> values{};
  for (std::size_t i = 0; i < kPoints; ++i) values[i] = a[i] * b[i];
  const auto y = times(interpolation<kPoints>(), values);
  for (std::size_t i = 0; i < kPoints; ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-13));
}

template <std::size_t kRows, std::size_t kColumns>
bool halves_are_whole(const SmallMatrix<kRows, kColumns>& matrix) {
  for (const auto& row : matrix) {
    for (const double value : row) {
      if (2 * value != static_cast<int>(2 * value)) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("a product of polynomials is known from its values at the points") {
  check_tile<2, 2>({3, -5}, {7, 2});
  check_tile<2, 3>({3, -5}, {7, 2, -11});
  check_tile<4, 2>({3, -5, 1, 13}, {7, 2});
  check_tile<4, 3>({3, -5, 1, 13}, {7, 2, -11});
}

TEST_CASE("the matrices of small tiles hold multiples of a half only, which keeps whole numbers exact") {
  CHECK(halves_are_whole(evaluation<3, 2>()));
  CHECK(halves_are_whole(scaled_evaluation<3, 2>()));
  CHECK(halves_are_whole(interpolation<3>()));
  CHECK(halves_are_whole(evaluation<4, 2>()));
  CHECK(halves_are_whole(scaled_evaluation<4, 3>()));
  CHECK(halves_are_whole(interpolation<4>()));
}
