// Lesson 5: an op and a layer of your own. Nothing is registered anywhere; both work like those of the library.
#include <cmath>
#include <iostream>

#include <dygrad/dygrad.h>

#include "expect.h"

using namespace dygrad;

namespace {

/// snake(x) = x + sin(a x)^2 / a: an activation for periodic things, which grows and waves at once.
/// Its derivative is 1 + sin(2 a x). Source: Ziyin, Hartwig and Ueda, "Neural networks fail to learn periodic functions
/// and how to fix it", NeurIPS 2020.
struct Snake {
  static constexpr std::string_view name = "snake";
  double a;

  Tensor forward(const Tensor& x) const { return x + square(sin(x * a)) / a; }  // plain values; any code may stand here
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }  // what vjp wants to see again
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const { return {g * (1. + sin(saved[0] * (2 * a)))}; }
};
Tensor snake(const Tensor& x, double a) { return apply(Snake{a}, x); }

/// x -> snake(x W1 + b1) W2 + b2, with a frequency of its own for the waves.
class Wave : public Layer {
 public:
  Wave(std::int64_t width, double frequency)
      : in_({.input_dim = 1, .output_dim = width, .param_attr = Normal{.scale = 1}}),
        out_({.input_dim = width, .output_dim = 1}),
        frequency_(frequency) {
    register_layer("in", in_);
    register_layer("out", out_);
  }
  Tensor forward(const Tensor& x) override { return out_(snake(in_(x), frequency_)); }

 private:
  Linear in_, out_;
  double frequency_;
};

}  // namespace

int main() {
  std::cout << "First the derivative is checked, to second order:\n\n";
  const CheckGradsReport report =
      check_grads([](const Tensor& x) { return snake(x, 1.5); }, linspace(-2, 2, 9, float64), {.order = 2});
  std::cout << report.text << "\n\n";
  expect(report.ok, "the op's vjp is right");

  std::cout << "\nThe layer knows its parameters by name:\n\n";
  manual_seed(3);
  Wave model(32, 1.5);
  for (const auto& [name, parameter] : model.named_parameters()) {
    std::cout << "  " << name << ' ' << parameter.shape() << '\n';
  }
  expect(model.num_parameters() == 32 + 32 + 32 + 1, "97 numbers to learn");

  std::cout << "\nIt learns t/2 + sin(3 t) from 128 points:\n\n";
  const Tensor t = linspace(-2, 2, 128).reshape({128, 1});
  const Tensor y = t * 0.5 + sin(t * 3.);
  Adam adam(model.parameters(), {.learning_rate = 0.02});
  const double before = mse_loss(model(t), y).item();
  double after = 0;
  for (int step = 1; step <= 600; ++step) {
    const Tensor loss = mse_loss(model(t), y);
    loss.backward();
    adam.step();
    adam.clear_gradients();
    after = loss.item();
    if (step % 100 == 0) std::cout << "  step " << step << "  error " << after << '\n';
  }
  expect(after < 0.01 * before, "the error fell below a hundredth of what it was");
  return verdict();
}
