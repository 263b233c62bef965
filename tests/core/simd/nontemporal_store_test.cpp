#include <dygrad/core/simd/nontemporal_store.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {

constexpr std::int64_t kFloats = static_cast<std::int64_t>(kernel::kNontemporalBytes / sizeof(float));

/// Small whole numbers, exact in every dtype, that tell neighbours, rows and columns apart.
Tensor pattern(const Shape& shape, DType dtype) {
  const Tensor x = Tensor::empty(shape, dtype);
  dispatch_numeric(dtype, "pattern", [&]<class T>() {
    T* to = x.mutable_data<T>();
    for (std::int64_t i = 0; i < x.num_elements(); ++i) to[i] = static_cast<T>(i % 8191 % 127);
  });
  return x;
}

/// Whether y[r][c] = 2 a[r][c] + b[r][c] for dense y.
template <class T>
bool is_twice_a_plus_b(const Tensor& y, const Tensor& a, const Tensor& b) {
  const std::int64_t rows = y.shape()[0], columns = y.shape()[1];
  const T *at_y = y.data<T>(), *at_a = a.data<T>(), *at_b = b.data<T>();
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      const T u = at_a[r * a.strides()[0] + c * a.strides()[1]], v = at_b[r * b.strides()[0] + c * b.strides()[1]];
      if (at_y[r * columns + c] != 2 * u + v) return false;
    }
  }
  return true;
}

template <class T>
void check_large_results(std::int64_t rows, std::int64_t columns) {
  const DType dtype = dtype_of<T>();
  const Tensor a = pattern({rows, columns}, dtype);
  const auto f = [](auto u, auto v) { return 2 * u + v; };
  const std::vector<std::pair<std::string, Tensor>> others{
      {"dense", pattern({rows, columns}, dtype)},
      {"transposed", view::transpose(pattern({columns, rows}, dtype), 0, 1)},
      {"window", view::slice(pattern({rows, columns + 9}, dtype), 1, 4, columns + 4)},
      {"one row", view::expand(pattern({1, columns}, dtype), {rows, columns})},
      {"one column", view::expand(pattern({rows, 1}, dtype), {rows, columns})}};
  for (const auto& [name, b] : others) {
    INFO(rows << " x " << columns << ", " << name << ", " << sizeof(T) << " bytes");
    CHECK(is_twice_a_plus_b<T>(kernel::map("f", f, a, b), a, b));
  }
  // A result that begins between two lines.
  const Tensor base = Tensor::empty({rows * columns + 3}, dtype);
  const Tensor shifted = view::strided(base, {rows, columns}, {columns, 1}, 3);
  kernel::map_into<T, T, T>(f, shifted, a, others[1].second);
  CHECK(is_twice_a_plus_b<T>(shifted, a, others[1].second));
  kernel::map_into<T, T, T>(f, shifted, a, others[0].second);
  CHECK(is_twice_a_plus_b<T>(shifted, a, others[0].second));
}

}  // namespace

TEST_CASE("streamed writes copy every byte and no other, wherever they begin and end") {
  constexpr std::size_t kRoom = 512;
  std::vector<std::byte> from(kRoom), to(kRoom);
  for (std::size_t i = 0; i < kRoom; ++i) from[i] = static_cast<std::byte>(i % 251);
  for (std::size_t first = 0; first < 130; first += 3) {
    for (const std::size_t count : {0, 1, 7, 63, 64, 65, 127, 128, 129, 200, 320}) {
      std::ranges::fill(to, std::byte{255});
      kernel::store_nontemporal(from.data() + first / 2, to.data() + first, count);
      kernel::finish_nontemporal_stores();
      INFO(count << " bytes at " << first);
      CHECK(std::memcmp(to.data() + first, from.data() + first / 2, count) == 0);
      CHECK(std::count(to.begin(), to.end(), std::byte{255}) == static_cast<std::ptrdiff_t>(kRoom - count));
    }
  }
}

TEST_CASE("results too large for the caches are right, whatever the strides") {
  check_large_results<float>(3000, kFloats / 3000 + 1);  // rows that share lines
  check_large_results<float>(kFloats / 4096, 4096);      // rows of whole lines
  check_large_results<float>(kFloats / 96, 96);          // short ones
  check_large_results<double>(2049, kFloats / 4096 + 1);
}

TEST_CASE("large results of one byte an element are right, and one thread makes the same bits as several") {
  const Tensor x = pattern({static_cast<std::int64_t>(kernel::kNontemporalBytes) + 5}, uint8);
  const auto mark_large = [&x] {
    Tensor result = Tensor::empty(x.shape(), DType::boolean);
    kernel::map_into<bool, std::uint8_t>([](std::uint8_t v) { return v > 63; }, result, x);
    return result;
  };
  const int threads = num_threads();
  set_num_threads(1);
  const Tensor alone = mark_large();
  set_num_threads(3);
  const Tensor together = mark_large();
  set_num_threads(threads);
  bool right = true;
  for (std::int64_t i = 0; i < x.num_elements(); ++i)
    right = right && alone.data<bool>()[i] == (x.data<std::uint8_t>()[i] > 63) &&
            together.data<bool>()[i] == alone.data<bool>()[i];
  CHECK(right);
}

TEST_CASE("a large tensor may be written over itself") {
  const Tensor x = pattern({2, kFloats / 2 + 7}, float32), before = kernel::clone(x);
  kernel::map_into<float, float>([](float v) { return v + 1; }, x, x);
  bool right = true;
  for (std::int64_t i = 0; i < x.num_elements(); ++i)
    right = right && x.data<float>()[i] == before.data<float>()[i] + 1;
  CHECK(right);
}
