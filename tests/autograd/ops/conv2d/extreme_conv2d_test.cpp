// Arguments of convolutions as large as 64 bits allow: a right result, or an error, and both at once.
#include <dygrad/autograd/ops/conv2d/conv2d.h>

#include <algorithm>
#include <random>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/debug/check_grads.h>
#include <dygrad/autograd/ops/conv2d/detail/conv2d_resolve.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/tests/backends/conv_support.h>
#include <dygrad/tests/backends/conv_terms.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kNumbers[] = {1,
                                     2,
                                     3,
                                     7,
                                     64,
                                     65,
                                     1000,
                                     100000,
                                     1000000,
                                     100000000,
                                     1000000000,
                                     1LL << 31,
                                     (1LL << 32) - 1,
                                     1LL << 40,
                                     1LL << 61,
                                     1LL << 62,
                                     kMax / 2,
                                     kMax - 8,
                                     kMax};

class Arguments {
 public:
  explicit Arguments(std::uint32_t seed) : engine_(seed) {}

  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(engine_() % static_cast<std::uint32_t>(limit));
  }
  /// Mostly ordinary.
  std::int64_t number() { return below(3) == 0 ? kNumbers[below(std::size(kNumbers))] : 1 + below(3); }
  Pair pair() { return {number(), number()}; }
  std::int64_t side(std::int64_t stride, std::int64_t dilation) {
    switch (below(4)) {
      case 0: return number();
      case 1: return near(stride);
      case 2: return near(dilation);
      default: return below(3);
    }
  }

 private:
  /// A small multiple of it, or a little more or less.
  std::int64_t near(std::int64_t step) {
    const double most = 4e18;
    const std::int64_t times = 1 + below(3);
    if (static_cast<double>(step) * static_cast<double>(times) > most) return step;
    return std::max<std::int64_t>(step * times + below(5) - 2, 0);
  }
  std::mt19937 engine_;
};

/// Results larger than this would only show how much memory there is.
constexpr std::int64_t kMaxElements = 200000;
bool is_small(const Shape& shape) {
  double elements = 1;
  for (const std::int64_t extent : shape) elements *= static_cast<double>(extent);
  return elements <= kMaxElements;
}

/// Value, gradients, and the gradient of a gradient, on whole numbers: all sums are exact.
void check_all(Kind kind, const Conv2DParams& p, const Tensor& a, const Tensor& w,
               const std::function<Tensor(const Tensor&, const Tensor&)>& f) {
  const Tensor image = a.clone().set_stop_gradient(false), weight = w.clone().set_stop_gradient(false);
  const Tensor result = f(image, weight);
  const bool transposed = kind == Kind::conv2d_transpose;
  const Shape x = transposed ? a.shape() : result.shape(), y = transposed ? result.shape() : a.shape();
  CHECK(identical(kernel::cast(result.detach(), float64), conv_by_definition(kind, p, a, w, x, w.shape(), y)));
  const Tensor g = random_integers(result.shape(), a.dtype(), 9);
  const std::vector<Tensor> grads = grad({(result * g).sum()}, {image, weight}, {.create_graph = true});
  const Kind other = transposed ? Kind::conv2d : Kind::conv2d_transpose;
  CHECK(identical(kernel::cast(grads[0].detach(), float64), conv_by_definition(other, p, g, w, x, w.shape(), y)));
  const Tensor of_weight = transposed ? conv_by_definition(Kind::conv2d_weights, p, a, g, x, w.shape(), y)
                                      : conv_by_definition(Kind::conv2d_weights, p, g, a, x, w.shape(), y);
  CHECK(identical(kernel::cast(grads[1].detach(), float64), of_weight));
  // <gradient of the weight, v> differentiated by the image is the gradient of the image with v for the weight.
  const Tensor v = random_integers(w.shape(), a.dtype(), 8);
  const Tensor second = grad((grads[1] * v).sum(), image);
  CHECK(identical(kernel::cast(second, float64), conv_by_definition(other, p, g, v, x, w.shape(), y)));
}

}  // namespace

TEST_CASE("convolutions with any strides, paddings and dilations are right to second order, or refused") {
  Arguments draw(11);
  int computed = 0;
  for (int i = 0; i < 3000; ++i) {
    const Pair stride = draw.pair(), dilation = draw.pair();
    const Padding2D padding(draw.side(stride.h, dilation.h), draw.side(stride.h, dilation.h),
                            draw.side(stride.w, dilation.w), draw.side(stride.w, dilation.w));
    const std::int64_t groups = 1 + draw.below(2);
    const Shape x{1 + draw.below(2), 2 * groups, 1 + draw.below(9), 1 + draw.below(9)};
    const Shape kernel{1 + draw.below(4), 1 + draw.below(4)};
    const DType dtype = draw.below(2) == 0 ? float32 : float64;
    const bool transposed = draw.below(2) == 0;
    const Shape w =
        transposed ? Shape(2 * groups, 2, kernel[0], kernel[1]) : Shape(2 * groups, 2, kernel[0], kernel[1]);
    const Tensor image = random_integers(x, dtype, 1), weight = random_integers(w, dtype, 2);
    const auto& sides = padding.values();
    INFO((transposed ? "conv2d_transpose" : "conv2d")
         << " of " << x[2] << " x " << x[3] << ", kernel " << kernel[0] << " x " << kernel[1] << ", stride " << stride.h
         << " x " << stride.w << ", dilation " << dilation.h << " x " << dilation.w << ", padding " << sides[0] << " "
         << sides[1] << " " << sides[2] << " " << sides[3] << ", groups " << groups);
    try {
      if (transposed) {
        const Conv2DTransposeOptions options{
            .stride = stride, .padding = padding, .dilation = dilation, .groups = groups};
        const Conv2DParams p = infer_conv2d_transpose_params(options, x, w);
        if (!is_small({x[0], 2 * groups, p.output_extent[0], p.output_extent[1]})) continue;
        check_all(Kind::conv2d_transpose, p, image, weight,
                  [&](const Tensor& a, const Tensor& b) { return conv2d_transpose(a, b, {}, options); });
      } else {
        const Conv2DOptions options{.stride = stride, .padding = padding, .dilation = dilation, .groups = groups};
        const Conv2DParams p = detail::infer_conv2d_params(options, x, w);
        if (!is_small({x[0], 2 * groups, p.input_extent[0], p.input_extent[1]})) continue;
        check_all(Kind::conv2d, p, image, weight,
                  [&](const Tensor& a, const Tensor& b) { return conv2d(a, b, {}, options); });
      }
      ++computed;
    } catch (const Error& error) {
      CHECK_THAT(std::string(error.what()), ContainsSubstring("conv2d"));
    }
  }
  CHECK(computed > 500);
}

TEST_CASE("a large stride, padding or dilation costs no more than a small one") {
  // Each of these has taken gigabytes, minutes, or the process in some library.
  const auto run = [](const Shape& x, const Shape& w, const Conv2DOptions& options) {
    const Tensor image = random_integers(x, float32, 1).set_stop_gradient(false);
    const Tensor weight = random_integers(w, float32, 2).set_stop_gradient(false);
    const Tensor y = conv2d(image, weight, {}, options);
    const std::vector<Tensor> grads = grad({y.sum()}, {image, weight});
    return y.num_elements() + grads[0].num_elements() + grads[1].num_elements();
  };
  CHECK(run({1, 3, 8, 8}, {4, 3, 3, 3}, {.stride = 1LL << 62, .padding = 1}) == 4 + 192 + 108);
  CHECK(run({1, 3, 8, 8}, {4, 3, 3, 3}, {.stride = 1000000000, .padding = 1000000000}) == 9 * 4 + 192 + 108);
  CHECK(run({1, 3, 8, 8}, {4, 3, 3, 3}, {.stride = 100000000, .padding = 100000000}) == 9 * 4 + 192 + 108);
  CHECK(run({1, 3, 8, 8}, {4, 3, 3, 3}, {.stride = {1, 1000000}, .padding = {1, 1000000}}) == 8 * 3 * 4 + 192 + 108);
  CHECK(run({1, 3, 8, 8}, {4, 3, 3, 3}, {.padding = 400000000, .dilation = 400000000}) == 64 * 4 + 192 + 108);
  const Tensor x = random_integers({1, 2, 2, 2}, float32, 1).set_stop_gradient(false);
  const Tensor w = random_integers({2, 1, 3, 3}, float32, 2).set_stop_gradient(false);
  const Tensor y = conv2d_transpose(x, w, {}, {.stride = {1, 1000000}});
  CHECK(y.shape() == Shape(1, 1, 4, 1000003));
  const Tensor sums = grad(y.sum(), x);
  CHECK(sums.at({0, 1, 1, 1}) == w.detach().slice(0, 1, 2).sum().item());
}
