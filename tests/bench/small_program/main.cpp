// What a user's first program looks like to the compiler and the linker: build_cost.py measures both on this file.
#include <iostream>

#include <dygrad/dygrad.h>

using namespace dygrad;

int main() {
  Conv2DTranspose layer({.num_channels = 3, .num_filters = 1, .filter_size = 4, .padding = 1, .stride = 2});
  Adam optimizer(layer.parameters(), {.learning_rate = 0.02});
  const Tensor x = normal({8, 3, 16, 16}), y = uniform({8, 1, 32, 32});
  for (int step = 0; step < 20; ++step) {
    const Tensor loss = mse_loss(layer(x), y);
    loss.backward();
    optimizer.step();
    optimizer.clear_gradients();
    std::cout << loss.item() << '\n';
  }
}
