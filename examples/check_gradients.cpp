// Lesson 3: never believe a derivative. check_grads compares it with finite differences, and finds the slip below.
#include <iostream>
#include <string_view>

#include <dygrad/dygrad.h>

#include "expect.h"

using namespace dygrad;

namespace {

/// x / (1 + x^2), whose derivative is (1 - x^2) / (1 + x^2)^2.
struct Bump {
  static constexpr std::string_view name = "bump";
  Tensor forward(const Tensor& x) const { return x / (1. + x * x); }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    const Tensor x2 = saved[0] * saved[0], d = 1. + x2;
    return {g * (1. - x2) / (d * d)};
  }
};

/// The same with the square forgotten below the line: right at x = 0, plausible elsewhere, and wrong.
struct WrongBump : Bump {
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    const Tensor x2 = saved[0] * saved[0];
    return {g * (1. - x2) / (1. + x2)};
  }
};

/// The first derivative is right, but its ingredients were taken out of the graph, so there is no second one.
struct FirstOrderOnly : Bump {
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    const Tensor x2 = saved[0].detach() * saved[0].detach(), d = 1. + x2;
    return {g * (1. - x2) / (d * d)};
  }
};

}  // namespace

int main() {
  const Tensor x = tensor({{0., 0.5, -1.25}, {2., -0.1, 3.}}, float64);

  std::cout << "A derivative with a slip:\n\n";
  const CheckGradsReport wrong = check_grads([](const Tensor& t) { return apply(WrongBump{}, t); }, x);
  std::cout << wrong.text << "\n\n";
  expect(!wrong.ok, "the slip is found");

  std::cout << "\nRight to first order, wrong to second, because the vjp left the graph:\n\n";
  const auto first_only = [](const Tensor& t) { return apply(FirstOrderOnly{}, t); };
  const CheckGradsReport shallow = check_grads(first_only, x, {.order = 2});
  std::cout << shallow.text << "\n\n";
  expect(check_grads(first_only, x).ok && !shallow.ok, "order 1 passes, order 2 does not");

  std::cout << "\nThe right one, to third order:\n\n";
  const auto bump = [](const Tensor& t) { return apply(Bump{}, t); };
  const CheckGradsReport right = check_grads(bump, x, {.order = 3, .step = 1e-4, .absolute = 1e-5});
  std::cout << right.text << "\n\n";
  expect(right.ok && right.checked > 0, "every derivative agrees");

  std::cout << "\nFor large inputs there is a fast mode: one random direction instead of every element:\n\n";
  Generator generator(1);
  const Tensor large = normal({64, 64}, 0, 1, {.dtype = float64, .generator = &generator});
  const CheckGradsReport fast = check_grads(bump, large, {.order = 2, .full = false});
  std::cout << fast.text << "\n\n";
  expect(fast.ok, "4096 elements checked along one direction");
  return verdict();
}
