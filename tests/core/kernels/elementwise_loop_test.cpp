#include <dygrad/core/kernels/elementwise_loop.h>

#include <string>
#include <vector>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/elementwise_sum.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {

Tensor numbered(const Shape& shape, DType dtype) {
  return kernel::cast(*view::reshape(arange(num_elements(shape), float64), shape), dtype);
}

/// Element number i, row by row, whatever the strides.
template <class T>
T element(const Tensor& x, std::int64_t i) {
  std::int64_t offset = 0;
  for (int d = x.rank() - 1; d >= 0; --d) {
    offset += i % x.shape()[d] * x.strides()[d];
    i /= x.shape()[d];
  }
  return x.data<T>()[offset];
}

/// An operand of that shape for each way in which a tile can lie in memory.
struct Arranged {
  std::string name;
  Tensor x;
};
std::vector<Arranged> arrangements(std::int64_t rows, std::int64_t columns, DType dtype) {
  const Tensor twice = numbered({rows, 2 * columns}, dtype);
  return {
      {"dense", numbered({rows, columns}, dtype)},
      {"transposed", view::transpose(numbered({columns, rows}, dtype), 0, 1)},
      {"window", view::slice(twice, 1, columns / 2, columns / 2 + columns)},
      {"every other column", view::slice(twice, 1, 0, 2 * columns, 2)},
      {"one row", view::expand(numbered({1, columns}, dtype), {rows, columns})},
      {"one column", view::expand(numbered({rows, 1}, dtype), {rows, columns})},
      {"one number", view::expand(numbered({1, 1}, dtype), {rows, columns})},
      {"transposed window", view::transpose(view::slice(numbered({columns, rows + 3}, dtype), 1, 1, rows + 1), 0, 1)},
      {"backwards",
       view::strided(numbered({rows, columns}, dtype), {rows, columns}, {-columns, -1}, rows * columns - 1)}};
}

template <class T>
void check_sums(std::int64_t rows, std::int64_t columns) {
  const std::vector<Arranged> inputs = arrangements(rows, columns, dtype_of<T>());
  for (const Arranged& a : inputs) {
    for (const Arranged& b : inputs) {
      for (const bool turned : {false, true}) {
        Tensor out = turned ? view::transpose(Tensor::empty({columns, rows}, dtype_of<T>()), 0, 1)
                            : view::slice(Tensor::empty({rows, columns + 5}, dtype_of<T>()), 1, 2, columns + 2);
        kernel::map_into<T, T, T>([](T u, T v) { return static_cast<T>(u + 3 * v); }, out, a.x, b.x);
        bool right = true;
        for (std::int64_t i = 0; i < rows * columns; ++i) {
          right = right && element<T>(out, i) == static_cast<T>(element<T>(a.x, i) + 3 * element<T>(b.x, i));
        }
        INFO(rows << " x " << columns << ", " << sizeof(T) << " bytes, " << a.name << " and " << b.name
                  << (turned ? ", turned" : ""));
        CHECK(right);
      }
    }
  }
}

}  // namespace

TEST_CASE("elementwise kernels meet the right operands however tiles lie in memory") {
  // Below and above the extents at which tiles change shape, none of them a multiple of a vector.
  check_sums<float>(70, 333);
  check_sums<float>(333, 70);
  check_sums<float>(5, 1100);
  check_sums<float>(1500, 3);
  check_sums<double>(67, 129);
  check_sums<double>(3, 517);
  check_sums<std::uint8_t>(130, 263);
  check_sums<std::int64_t>(19, 300);
}

TEST_CASE("a kernel may write over the strided tensor it reads") {
  const Tensor base = numbered({300, 90}, float32);
  const Tensor x = view::transpose(view::slice(base, 1, 10, 80), 0, 1);
  kernel::map_into<float, float>([](float v) { return -v; }, x, x);
  bool right = true;
  for (std::int64_t i = 0; i < 300 * 90; ++i) {
    const std::int64_t column = i % 90;
    const float sign = column >= 10 && column < 80 ? -1.f : 1.f;
    right = right && base.data<float>()[i] == sign * static_cast<float>(i);
  }
  CHECK(right);
}

TEST_CASE("numbers per channel meet channels-last images without a copy of either") {
  const std::int64_t before = kernel::layout_conversions();
  for (const std::int64_t channels : {1, 3, 64, 300}) {
    const Tensor image = kernel::clone(numbered({2, channels, 9, 7}, float64), MemoryFormat::channels_last);
    const Tensor bias = view::expand(numbered({1, channels, 1, 1}, float64), image.shape());
    const Tensor y = kernel::map(
        "add", [](auto a, auto b) { return a + 1000 * b; }, image, bias);
    CHECK((channels == 1 || y.is_contiguous(MemoryFormat::channels_last)));
    bool right = true;
    for (std::int64_t i = 0; i < y.num_elements(); ++i)
      right = right && element<double>(y, i) == static_cast<double>(i + 1000 * (i / 63 % channels));
    CHECK(right);
  }
  CHECK(kernel::layout_conversions() == before);
}

TEST_CASE("sums of functions agree with sums of their values, for any strides") {
  const auto product = [](auto a, auto b) { return a * b; };
  for (const std::int64_t rows : {0, 1, 7, 400}) {
    for (const Arranged& a : arrangements(rows, 37, float64)) {
      if (rows == 0 && a.name == "backwards") continue;
      const Tensor b = numbered({rows, 37}, float64);
      double sum = 0;  // of whole numbers below 2^53: exact in any order
      for (std::int64_t i = 0; i < rows * 37; ++i) sum += element<double>(a.x, i) * element<double>(b, i);
      INFO(rows << " rows, " << a.name);
      const Tensor got = kernel::map_sum("product", product, a.x, b);
      CHECK(got.shape() == Shape());
      CHECK(got.item() == sum);
    }
  }
  CHECK_THROWS_MATCHES(kernel::map_sum("product", product, tensor({1}), tensor({2})), DtypeError,
                       dygrad::testing::MessageContains("product", "int64"));
}
