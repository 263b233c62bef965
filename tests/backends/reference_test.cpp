// The reference backend against the definition itself: one scatter over all seven indices.
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/backends/conv_support.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Calls visit(x index, w index, y index) for every product of the transposed convolution; indices are row-major.
template <class Visit>
void for_each_product(const ConvShape& s, const Visit& visit) {
  const std::int64_t cg = s.cin / s.groups, og = s.cout / s.groups;
  for (std::int64_t n = 0; n < s.n; ++n)
    for (std::int64_t c = 0; c < s.cin; ++c)
      for (std::int64_t h = 0; h < s.h; ++h)
        for (std::int64_t w = 0; w < s.w; ++w)
          for (std::int64_t o = 0; o < og; ++o)
            for (std::int64_t i = 0; i < s.kh; ++i)
              for (std::int64_t j = 0; j < s.kw; ++j) {
                const std::int64_t oy = h * s.sh + i * s.dh - s.ph, ox = w * s.sw + j * s.dw - s.pw;
                if (oy < 0 || oy >= s.oh() || ox < 0 || ox >= s.ow()) continue;
                const std::int64_t filter = c / cg * og + o;
                visit(((n * s.cin + c) * s.h + h) * s.w + w, ((c * og + o) * s.kh + i) * s.kw + j,
                      ((n * s.cout + filter) * s.oh() + oy) * s.ow() + ox);
              }
}

Tensor scatter(const ConvOperands& in, Kind kind) {
  const auto x = in.x.to_vector<std::int64_t>(), w = in.w.to_vector<std::int64_t>(), g = in.g.to_vector<std::int64_t>();
  const Shape shape = kind == Kind::conv2d_transpose ? in.shape.y_shape()
                      : kind == Kind::conv2d         ? in.shape.x_shape()
                                                     : in.shape.w_shape();
  std::vector<std::int64_t> result(static_cast<std::size_t>(num_elements(shape)));
  for_each_product(in.shape, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    const auto at_x = static_cast<std::size_t>(xi), at_w = static_cast<std::size_t>(wi),
               at_y = static_cast<std::size_t>(yi);
    if (kind == Kind::conv2d_transpose) result[at_y] += x[at_x] * w[at_w];
    else if (kind == Kind::conv2d) result[at_x] += g[at_y] * w[at_w];
    else result[at_w] += x[at_x] * g[at_y];
  });
  return from_vector(result, shape);
}

}  // namespace

TEST_CASE("the reference backend equals the literal scatter on whole numbers") {
  const DType dtype = GENERATE(float32, float64, int64);
  const Backend& reference = backend("reference");
  for (const ConvShape& shape : kSmallShapes) {
    const ConvOperands in(shape, dtype, random_integers);
    for (const Kind kind : kDirections) {
      INFO(shape << ", " << name_of(kind) << ", " << name_of(dtype));
      const Tensor result = in.run(reference, kind);
      CHECK(result.dtype() == dtype);
      CHECK(identical(kernel::cast(result, int64), scatter(in, kind)));
    }
  }
}

TEST_CASE("the reference backend rounds a float32 sum once") {
  // 1 + 2^-30 + ... + 2^-30 with 2^10 small terms: each alone vanishes in float32, together they are 2^-20.
  std::vector<float> a(1025, 0x1p-30F);
  a[0] = 1;
  const Tensor sum = backend("reference").matmul(from_vector(a, {1, 1025}), ones({1025, 1}));
  CHECK(sum.item<float>() == 1 + 0x1p-20F);
}

TEST_CASE("the reference backend keeps what a float64 sum rounds off") {
  // As above: each of the 2^20 small terms is less than half a unit of the 1. Those in the block of the 1 may be lost.
  constexpr std::int64_t kTerms = 1 << 20;
  std::vector<double> a(kTerms + 1, 0x1p-54);
  a[0] = 1;
  const auto is_right = [](const Tensor& sum) { return std::abs(sum.item<double>() - (1 + 0x1p-34)) <= 256 * 0x1p-54; };
  const Backend& reference = backend("reference");
  const Tensor row = from_vector(a, {1, kTerms + 1});
  CHECK(is_right(reference.matmul(row, ones({kTerms + 1, 1}, float64))));

  const Tensor image = from_vector(a, {1, 1, 1, kTerms + 1}), one = ones(image.shape(), float64);
  const Conv2DParams pixels{.input_extent = {1, kTerms + 1}, .output_extent = {1, kTerms + 1}};
  CHECK(is_right(reference.conv2d_weights(pixels, image, one, {1, 1})));
  const Conv2DParams taps{.input_extent = {1, 1}, .output_extent = {1, kTerms + 1}};
  CHECK(is_right(reference.conv2d(taps, image, one)));
  const Tensor channels = from_vector(a, {1, kTerms + 1, 1, 1});
  const Conv2DParams one_pixel{.input_extent = {1, 1}, .output_extent = {1, 1}};
  CHECK(is_right(reference.conv2d_transpose(one_pixel, channels, ones({kTerms + 1, 1, 1, 1}, float64))));
}

TEST_CASE("infinities and NaN come out of the reference backend's sums as they come out of plain ones") {
  const double infinity = std::numeric_limits<double>::infinity(), largest = std::numeric_limits<double>::max();
  const auto sum_of = [](double first, double last) {
    std::vector<double> a(1000, 1.0);
    a.front() = first, a.back() = last;
    return backend("reference").matmul(from_vector(a, {1, 1000}), ones({1000, 1}, float64)).item<double>();
  };
  CHECK(sum_of(infinity, 1) == infinity);
  CHECK(sum_of(1, -infinity) == -infinity);
  CHECK(std::isnan(sum_of(infinity, -infinity)));
  CHECK(sum_of(largest, largest) == infinity);
}

TEST_CASE("the reference backend needs no memory but that of the result") {
  const ConvShape spread{"large stride", 1, 1, 2, 2, 1, 2, 2, 1500, 1400, 0, 0, 1, 1, 1, 0, 0};
  for (const DType dtype : {float32, float64}) {
    const ConvOperands in(spread, dtype, random_integers);
    const std::int64_t result_bytes = in.g.num_elements() * size_of(dtype);
    reset_peak_bytes();
    const std::int64_t before = allocator_statistics().live_bytes;
    const Tensor y = in.run(backend("reference"), Kind::conv2d_transpose);
    CHECK(allocator_statistics().peak_bytes - before < result_bytes + result_bytes / 4);
  }
}
