// The program of the README: a transposed convolution learns what another one does; then a second derivative.
#include <iostream>

#include <dygrad/dygrad.h>

#include "expect.h"

using namespace dygrad;

int main() {
  manual_seed(1);
  const Conv2DTranspose::Options options{
      .num_channels = 3, .num_filters = 1, .filter_size = 4, .padding = 1, .stride = 2};
  Conv2DTranspose teacher(options), student(options);
  Adam optimizer(student.parameters(), {.learning_rate = 0.02});

  const Tensor x = normal({8, 3, 16, 16});  // images: N, C, H, W
  const Tensor y = teacher(x).detach();     // [8, 1, 32, 32]
  for (int step = 0; step <= 200; ++step) {
    const Tensor loss = mse_loss(student(x), y);
    loss.backward();
    optimizer.step();
    optimizer.clear_gradients();
    if (step % 50 == 0) std::cout << "step " << step << ": loss " << loss.item() << '\n';
  }
  std::cout << '\n';
  expect(mse_loss(student(x), y).item() < 1e-4, "the student does what the teacher does");

  const Tensor t = tensor({1., 2., 3.}).set_stop_gradient(false);
  const Tensor slope = grad((t * t * t).sum(), t, {.create_graph = true});  // 3 t^2
  const Tensor second = grad(slope.sum(), t);                               // 6 t
  std::cout << "\nt^3 has slope " << slope << " and second derivative " << second << '\n';
  expect(second.to_vector<double>() == std::vector<double>{6, 12, 18}, "derivatives of derivatives are exact");
  return verdict();
}
