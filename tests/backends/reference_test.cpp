// The reference backend against the definition itself: one scatter over all seven indices.
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
  const Shape shape = kind == Kind::deconv2d        ? in.shape.y_shape()
                      : kind == Kind::deconv2d_data ? in.shape.x_shape()
                                                    : in.shape.w_shape();
  std::vector<std::int64_t> result(static_cast<std::size_t>(num_elements(shape)));
  for_each_product(in.shape, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    const auto at_x = static_cast<std::size_t>(xi), at_w = static_cast<std::size_t>(wi),
               at_y = static_cast<std::size_t>(yi);
    if (kind == Kind::deconv2d) result[at_y] += x[at_x] * w[at_w];
    else if (kind == Kind::deconv2d_data) result[at_x] += g[at_y] * w[at_w];
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
      CHECK(identical(raw::cast(result, int64), scatter(in, kind)));
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
