// A program outside of dygrad's tree: fits the one number w in y = w * x by gradient descent.
#include <dygrad/dygrad.h>

#include <cmath>
#include <iostream>

int main() {
  const dygrad::Tensor x = dygrad::tensor({1.0, 2.0, 3.0});
  const dygrad::Tensor y = dygrad::tensor({2.0, 4.0, 6.0});
  dygrad::Tensor w = dygrad::zeros({1});
  w.set_stop_gradient(false);

  for (int step = 0; step < 50; ++step) {
    const dygrad::Tensor error = w * x - y;
    (error * error).mean().backward();
    w.set_value(w.detach() - 0.1f * w.grad());
    w.clear_gradient();
  }
  std::cout << "w = " << w.item() << " (expected 2)\n";
  return std::abs(w.item() - 2.0) < 1e-5 ? 0 : 1;
}
