#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/backends/flipped.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

struct Product {
  Shape batch;
  std::int64_t m, n, k;
};

const Product kProducts[] = {
    {{}, 1, 1, 1},     {{}, 2, 3, 4},      {{}, 1, 7, 5},     {{}, 7, 1, 5},       {{}, 5, 7, 1},
    {{}, 33, 65, 17},  {{}, 129, 3, 200},  {{}, 3, 257, 64},  {{}, 130, 131, 132}, {{4}, 3, 5, 2},
    {{2, 3}, 4, 1, 6}, {{64}, 8, 8, 8},    {{2}, 90, 80, 70}, {{1}, 20, 1, 20},    {{0}, 3, 4, 5},
    {{}, 0, 4, 5},     {{}, 3, 0, 5},      {{}, 3, 4, 0},     {{3}, 2, 2, 0},      {{2, 1, 2}, 3, 3, 3},
    {{}, 2, 3, 20000}, {{2}, 1, 2, 17000},  // long sums, which are cut
};

Shape with(Shape batch, std::int64_t rows, std::int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

bool takes_matmul(const Backend& candidate, const Tensor& a, const Tensor& b, const Product& p) {
  return candidate.supports(
      {.kind = Kind::matmul, .dtype = a.dtype(), .x = a.shape(), .w = b.shape(), .y = with(p.batch, p.m, p.n)});
}

/// Runs check(backend, a, b, product) for every backend that takes float products, in both float types.
template <class Check>
void for_each_product(const Check& check) {
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      for (const Product& p : kProducts) {
        const Tensor a = random_integers(with(p.batch, p.m, p.k), dtype, 5),
                     b = random_integers(with(p.batch, p.k, p.n), dtype, 6);
        if (!takes_matmul(backend(name), a, b, p)) continue;
        INFO(name << ", " << name_of(dtype) << ", m " << p.m << ", n " << p.n << ", k " << p.k << ", batch rank "
                  << p.batch.rank());
        check(backend(name), a, b, p);
      }
    }
  }
}

Tensor transposed_in_memory(const Tensor& x) {
  return view::transpose(kernel::clone(view::transpose(x, -1, -2), MemoryFormat::row_major), -1, -2);
}

}  // namespace

TEST_CASE("a product by hand comes out on every backend") {
  for (const std::string_view name : backend_names()) {
    const Tensor a = tensor({{1., 2.}, {3., 4.}}), b = tensor({{5., 6.}, {7., 8.}});
    if (!takes_matmul(backend(name), a, b, {{}, 2, 2, 2})) continue;
    CHECK(backend(name).matmul(a, b).to_vector<double>() == std::vector<double>{19, 22, 43, 50});
  }
}

TEST_CASE("every backend multiplies whole numbers exactly, empty extents included") {
  for_each_product([](const Backend& candidate, const Tensor& a, const Tensor& b, const Product& p) {
    const Tensor c = candidate.matmul(a, b);
    CHECK(c.shape() == with(p.batch, p.m, p.n));
    CHECK(c.is_contiguous());
    CHECK(identical(c, backend("reference").matmul(a, b)));
  });
}

TEST_CASE("products wider than the reference takes at a time are whole") {
  const std::int64_t width = 1300;  // more than two of its blocks
  const Tensor b = arange(3 * width).to(float64).reshape({3, width});
  const std::vector<double> c = backend("reference").matmul(tensor({{1., 10., 100.}}, float64), b).to_vector<double>();
  REQUIRE(c.size() == static_cast<std::size_t>(width));
  for (std::size_t i = 0; i < c.size(); ++i)
    CHECK(c[i] == 111. * static_cast<double>(i) + 210. * static_cast<double>(width));
}

TEST_CASE("transposed, strided and expanded operands multiply as their copies do") {
  for_each_product([](const Backend& candidate, const Tensor& a, const Tensor& b, const Product& p) {
    const Tensor expected = candidate.matmul(a, b);
    CHECK(identical(candidate.matmul(transposed_in_memory(a), b), expected));
    CHECK(identical(candidate.matmul(a, transposed_in_memory(b)), expected));
    CHECK(identical(candidate.matmul(transposed_in_memory(a), transposed_in_memory(b)), expected));

    const Tensor wide = zeros(with(p.batch, p.m, 2 * p.k + 3), a.dtype());
    const Tensor every_second = view::slice(wide, -1, 1, 2 * p.k + 1, 2), beginning = view::slice(wide, -1, 0, p.k);
    kernel::copy(a, every_second);
    CHECK(identical(candidate.matmul(every_second, b), expected));
    kernel::copy(a, beginning);
    CHECK(identical(candidate.matmul(beginning, b), expected));
    const Tensor end = view::slice(wide, -1, p.k + 3, 2 * p.k + 3);
    kernel::copy(a, end);
    CHECK(identical(candidate.matmul(end, b), expected));

    for (const std::initializer_list<int> axes : {std::initializer_list<int>{-1}, {-2}, {-1, -2}}) {
      CHECK(identical(candidate.matmul(backwards(a, axes), b), expected));
      CHECK(identical(candidate.matmul(a, backwards(b, axes)), expected));
    }

    if (p.m == 0 || num_elements(p.batch) == 0) return;
    const Tensor one_row = view::expand(view::slice(a, -2, 0, 1), a.shape());
    CHECK(
        identical(candidate.matmul(one_row, b), candidate.matmul(kernel::clone(one_row, MemoryFormat::row_major), b)));
    if (p.batch.empty()) return;
    Tensor first = b;
    for (int d = 0; d < p.batch.rank(); ++d) first = view::slice(first, d, 0, 1);
    const Tensor shared = view::expand(first, b.shape());
    CHECK(identical(candidate.matmul(a, shared), candidate.matmul(a, kernel::clone(shared, MemoryFormat::row_major))));
  });
}

TEST_CASE("products of fractions agree with the reference to round-off") {
  for (const std::string_view name : backend_names()) {
    for (const DType dtype : {float32, float64}) {
      const Tensor a = random_values({3, 70, 300}, dtype, 7), b = random_values({3, 300, 50}, dtype, 8);
      if (!takes_matmul(backend(name), a, b, {{3}, 70, 50, 300})) continue;
      INFO(name << ", " << name_of(dtype));
      const Backend& reference = backend("reference");
      check_within(backend(name).matmul(a, b), reference.matmul(a, b), reference.matmul(absolute(a), absolute(b)),
                   2 * gamma(300, dtype));
    }
  }
}

TEST_CASE("the reference backend multiplies whole numbers beyond float64") {
  const std::int64_t big = (std::int64_t{1} << 53) + 1;
  const Tensor product =
      backend("reference").matmul(from_vector<std::int64_t>({big}, {1, 1}), from_vector<std::int64_t>({3}, {1, 1}));
  CHECK(product.item<std::int64_t>() == 3 * big);
}
