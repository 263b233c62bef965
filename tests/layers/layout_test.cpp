// Images stay channels-last from the first layer on: no copy into another memory order, forward or backward.
#include <dygrad/core/kernels/copy.h>
#include <dygrad/dygrad.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;

namespace {

/// A discriminator's and a generator's kinds of layers, one after the other.
struct Network {
  Conv2D down{{.num_channels = 3, .num_filters = 16, .filter_size = 4, .stride = 2, .padding = 1}};
  BatchNorm norm{{.num_channels = 16, .act = "relu"}};
  Conv2D deeper{{.num_channels = 16, .num_filters = 32, .filter_size = 3, .padding = 1, .act = "leaky_relu"}};
  Conv2DTranspose up{{.num_channels = 32, .num_filters = 16, .filter_size = 4, .padding = 1, .stride = 2}};
  Conv2DTranspose last{{.num_channels = 16, .num_filters = 3, .filter_size = 3, .padding = 1}};

  Tensor after_first(const Tensor& first) {
    const Tensor hidden = deeper(norm(first));
    return tanh(last(sigmoid(up(hidden * 0.5 + hidden)) - 0.5));
  }
};

}  // namespace

TEST_CASE("after the first layer nothing is converted to another memory order, forward or backward") {
  manual_seed(3);
  Network network;
  const Tensor x = uniform({2, 3, 16, 16}, -1, 1);  // row-major, as data come

  const std::int64_t start = kernel::layout_conversions();
  const Tensor first = network.down(x);
  const std::int64_t after_first_layer = kernel::layout_conversions();
  CHECK(after_first_layer - start == 1);  // x itself

  const Tensor y = network.after_first(first);
  const Tensor loss = mean(y * y);
  CHECK(kernel::layout_conversions() == after_first_layer);
  CHECK(y.is_contiguous(MemoryFormat::channels_last));

  loss.backward();
  // The gradient of the first layer's weights reads x once more, which is still row-major.
  CHECK(kernel::layout_conversions() - after_first_layer <= 1);
  CHECK(network.last.weight.grad().defined());
}
