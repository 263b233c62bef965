// A program outside dygrad's tree: fits a line through points, and says so.
#include <dygrad/dygrad.h>

#include <cmath>
#include <iostream>

using namespace dygrad;

int main() {
  manual_seed(1);
  Linear line({.input_dim = 1, .output_dim = 1});
  SGD sgd(line.parameters(), {.learning_rate = 0.3});

  const Tensor x = linspace(-1, 1, 20).reshape({20, 1});
  const Tensor y = 2. * x + 1.;
  for (int step = 0; step < 100; ++step) {
    mse_loss(line(x), y).backward();
    sgd.step();
    sgd.clear_gradients();
  }

  const double slope = line.weight.item(), offset = line.bias.item();
  if (std::abs(slope - 2) > 1e-3 || std::abs(offset - 1) > 1e-3) {
    std::cout << "wrong: y = " << slope << " x + " << offset << '\n';
    return 1;
  }
  std::cout << "ok: y = " << slope << " x + " << offset << '\n';
}
