// Lesson 2: the tape. Ops on tensors that want gradients leave a graph behind; backward() walks it once.
#include <cmath>
#include <iostream>

#include <dygrad/dygrad.h>

#include "expect.h"

using namespace dygrad;

int main() {
  Tensor x = tensor(2.), w = tensor(3.), b = tensor(1.);
  x.set_stop_gradient(false);
  w.set_stop_gradient(false);  // b keeps the default: no gradient flows into it

  const Tensor y = exp(w * x - 6.) * x + b;
  std::cout << "y = exp(w x - 6) x + b at x = 2, w = 3, b = 1 is " << y.item() << "\n\n"
            << "What was recorded, newest first (number, op, shape, dtype, inputs):\n\n"
            << graph_text(y)
            << "\nThe same in Graphviz's language; `tape | sed -n '/^digraph/,/^}/p' | dot -Tsvg` draws it:\n\n"
            << graph_dot(y) << '\n';
  expect(graph_text(y).find("const") != std::string::npos, "b is a constant to the graph");

  y.backward();
  std::cout << "\nAfter y.backward(): dy/dx = (w x + 1) exp(w x - 6), dy/dw = x^2 exp(w x - 6)\n\n";
  expect(x.grad().item() == 7 && w.grad().item() == 4, "x.grad() is 7 and w.grad() is 4");
  expect(!b.grad().defined(), "b has no gradient");

  std::cout << "\nThe graph was freed on the way, and says so:\n\n";
  std::string message;
  try {
    y.backward();
  } catch (const GraphError& error) {
    message = error.what();
  }
  std::cout << message << "\n\n";
  expect(message.find("retain_graph") != std::string::npos, "the message names the remedy");

  std::cout << "\ngrad() returns gradients instead of storing them, and can be differentiated again:\n\n";
  const Tensor cube = x * x * x;
  const Tensor first = grad(cube, x, {.create_graph = true});
  const Tensor second = grad(first, x, {.create_graph = true});
  const Tensor third = grad(second, x);
  std::cout << "  x^3 and its derivatives at 2: " << cube.item() << ", " << first.item() << ", " << second.item()
            << ", " << third.item() << "\n\n";
  expect(first.item() == 12 && second.item() == 12 && third.item() == 6, "3 x^2, 6 x and 6");
  expect(x.grad().item() == 7, "the stored gradient is untouched");

  std::cout << "\nNoGrad, detach() and hooks:\n\n";
  {
    const NoGrad guard;
    expect((x * w).stop_gradient(), "inside a NoGrad nothing is recorded");
  }
  x.clear_gradient();
  const HookHandle hook = x.register_hook([](const Tensor& g) { return clip(g, -1, 1); });
  (x * w + x.detach() * 100.).backward();
  expect(x.grad().item() == 1, "a hook may replace a gradient: 3 became 1, and detach() hid the 100");
  return verdict();
}
