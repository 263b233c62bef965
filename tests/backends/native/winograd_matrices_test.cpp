// Winograd's matrices, against F(m, r) and products of polynomials written out.
#include <dygrad/backends/native/microkernels/winograd_matrices.h>
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

/// B (A x . G w) against the product of the polynomials x and w, and A^T (G w . B^T y) against the convolution of y
/// with w.
template <std::size_t kM, std::size_t kR>
void check_tile(const std::array<double, kM>& x, const std::array<double, kR>& w) {
  constexpr std::size_t kPoints = kM + kR - 1;
  std::array<double, kPoints> expected{};
  for (std::size_t i = 0; i < kM; ++i) {
    for (std::size_t j = 0; j < kR; ++j) expected[i + j] += x[i] * w[j];
  }
  const auto a = times(output_matrix<kPoints, kM>(), x);
  const auto b = times(filter_matrix<kPoints, kR>(), w);
  std::array<double, kPoints> values{};
  for (std::size_t i = 0; i < kPoints; ++i) values[i] = a[i] * b[i];
  const auto y = times(input_matrix<kPoints>(), values);
  for (std::size_t i = 0; i < kPoints; ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-13));

  // The ordinary convolution, as Lavin and Gray write it.
  std::array<double, kPoints> d{};
  for (std::size_t i = 0; i < kPoints; ++i) d[i] = static_cast<double>(i * i) - 3;
  const auto transformed = times(transposed<kPoints, kPoints>(input_matrix<kPoints>()), d);
  for (std::size_t i = 0; i < kPoints; ++i) values[i] = b[i] * transformed[i];
  const auto outputs = times(transposed<kPoints, kM>(output_matrix<kPoints, kM>()), values);
  for (std::size_t i = 0; i < kM; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < kR; ++j) sum += w[j] * d[i + j];
    CHECK(outputs[i] == Approx(sum).margin(1e-12));
  }
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

TEST_CASE("F(m, r) is an ordinary convolution, and its adjoint a product of polynomials") {
  check_tile<2, 2>({3, -5}, {7, 2});
  check_tile<2, 3>({3, -5}, {7, 2, -11});
  check_tile<4, 2>({3, -5, 1, 13}, {7, 2});
  check_tile<4, 3>({3, -5, 1, 13}, {7, 2, -11});
}

TEST_CASE("the matrices for m = 2 hold multiples of a half only, which keeps whole numbers exact") {
  CHECK(halves_are_whole(output_matrix<3, 2>()));
  CHECK(halves_are_whole(filter_matrix<3, 2>()));
  CHECK(halves_are_whole(input_matrix<3>()));
  CHECK(halves_are_whole(output_matrix<4, 2>()));
  CHECK(halves_are_whole(filter_matrix<4, 3>()));
  CHECK(halves_are_whole(input_matrix<4>()));
}
