#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/channelwise.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {
/// x * a[c] + b[c], for x in its own memory order.
Tensor scaled(const Tensor& x, const Tensor& a, const Tensor& b) {
  Tensor y = kernel::empty_like(x, x.dtype());
  kernel::map_channels<double, 1, 2>([](double v, double s, double t) { return v * s + t; }, y, {x.data<double>()},
                                     {a.data<double>(), b.data<double>()});
  return y;
}
}  // namespace

TEST_CASE("channelwise functions find the channel in both memory orders") {
  for (const Shape& shape :
       {Shape(3, 2, 5, 7), Shape(2, 300, 3, 2), Shape(5, 1, 4, 4), Shape(70, 3, 1, 1), Shape(500, 3), Shape(2, 1000)}) {
    const Tensor image = *view::reshape(arange(num_elements(shape), float64), shape);
    const std::int64_t channels = shape[1];
    const Tensor a = arange(channels, float64), b = arange(100, 100 + static_cast<double>(channels), 1, float64);
    const Tensor y = scaled(image, a, b);
    const std::int64_t pixels = image.num_elements() / shape[0] / channels;
    bool right = true;
    for (std::int64_t i = 0; i < image.num_elements(); ++i) {
      const std::int64_t c = i / pixels % channels;
      right = right && y.data<double>()[i] == static_cast<double>(i * c + 100 + c);
    }
    CHECK(right);
    if (image.rank() == 4) {
      const Tensor turned = scaled(kernel::contiguous(image, MemoryFormat::channels_last), a, b);
      CHECK(turned.to_vector<double>() == y.to_vector<double>());
    }
  }
}

TEST_CASE("channelwise functions may write over their source, and do nothing to nothing") {
  const Tensor x = ones({2, 2, 2, 2}, float64), a = full({2}, 3, float64);
  kernel::map_channels<double, 1, 1>([](double v, double s) { return v + s; }, x, {x.data<double>()},
                                     {a.data<double>()});
  CHECK(x.to_vector<double>() == std::vector<double>(16, 4));
  const Tensor none = zeros({0, 2}, float64);
  CHECK_NOTHROW(scaled(none, a, a));
}
