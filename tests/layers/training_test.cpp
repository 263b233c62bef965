#include <array>
#include <thread>

#include <dygrad/dygrad.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// A small decoder: upsamples twice, normalises between.
struct Decoder : Layer {
  Conv2DTranspose up{{.num_channels = 4,
                      .num_filters = 8,
                      .filter_size = 4,
                      .padding = 1,
                      .stride = 2,
                      .param_attr = Xavier{.seed = 7}}};
  BatchNorm norm{{.num_channels = 8, .act = "leaky_relu"}};
  Conv2DTranspose out{{.num_channels = 8,
                       .num_filters = 1,
                       .filter_size = 4,
                       .padding = 1,
                       .stride = 2,
                       .param_attr = Xavier{.seed = 8},
                       .act = "sigmoid"}};
  Decoder() {
    register_layer("up", up);
    register_layer("norm", norm);
    register_layer("out", out);
  }
  Tensor forward(const Tensor& x) override { return out(norm(up(x))); }
};

/// The weights after some steps on data that only `seed` determines; image sizes change from step to step.
std::vector<float> train(std::uint64_t seed, int steps) {
  Generator data(seed);
  Decoder model;
  Adam adam(model.parameters(), {.learning_rate = 0.01});
  for (int i = 0; i < steps; ++i) {
    const std::int64_t side = 3 + i % 4;
    const Tensor x = normal({2 + i % 3, 4, side, side}, 0, 1, {.generator = &data});
    const Tensor y = uniform({2 + i % 3, 1, 4 * side, 4 * side}, 0, 1, {.generator = &data});
    mse_loss(model(x), y).backward();
    adam.step();
    adam.clear_gradients();
  }
  std::vector<float> weights;
  for (const Parameter& parameter : model.parameters()) {
    for (float w : parameter.to_vector<float>()) weights.push_back(w);
  }
  return weights;
}

}  // namespace

TEST_CASE("training is repeatable bit by bit") { CHECK(train(1, 12) == train(1, 12)); }

TEST_CASE("two threads training at once each get what they get alone", "[threads]") {
  const std::vector<float> first = train(1, 12);
  const std::vector<float> second = train(2, 12);
  std::array<std::vector<float>, 2> together;
  std::thread other([&] { together[0] = train(1, 12); });
  together[1] = train(2, 12);
  other.join();
  CHECK(together[0] == first);
  CHECK(together[1] == second);
}

TEST_CASE("training on changing shapes leaves no node and no tensor behind") {
  (void)train(1, 12);  // caches of converted weights and primitives fill
  const std::int64_t nodes = Node::live_count();
  const std::int64_t bytes = allocator_statistics().live_bytes;
  (void)train(3, 24);
  CHECK(Node::live_count() == nodes);
  CHECK(allocator_statistics().live_bytes == bytes);
}

TEST_CASE("memory in use does not grow over ten thousand steps of changing shapes", "[slow]") {
  (void)train(1, 200);
  const std::int64_t bytes = allocator_statistics().live_bytes;
  reset_peak_bytes();
  (void)train(1, 200);
  const std::int64_t peak = allocator_statistics().peak_bytes;
  reset_peak_bytes();
  (void)train(4, 10'000);
  CHECK(allocator_statistics().live_bytes == bytes);
  CHECK(allocator_statistics().peak_bytes <= peak);
}
