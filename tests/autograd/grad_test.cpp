#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/autograd/ops/reduce.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>

#include "../support/catch.h"

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor variable(const NestedList& values) { return tensor(values, float64).set_stop_gradient(false); }
}  // namespace

TEST_CASE("grad returns gradients in the order of its inputs and stores none") {
  const Tensor x = variable({2.});
  const Tensor w = variable({3.});
  const std::vector<Tensor> g = grad({x * x * w}, {w, x});
  CHECK(g[0].item() == 4);
  CHECK(g[1].item() == 12);
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
  CHECK(g[0].stop_gradient());
}

TEST_CASE("grad sums over outputs, with ones or the gradients given") {
  const Tensor x = variable({2.});
  CHECK(grad({x * 3., x * x}, {x}).front().item() == 7);
  CHECK(grad({x * 3., x * x}, {x}, {.grad_outputs = {tensor({10.}, float64), Tensor()}}).front().item() == 34);
}

TEST_CASE("grad of a tensor with respect to itself is ones") {
  const Tensor x = variable({2., 5.});
  CHECK(grad(x, x).to_vector<double>() == std::vector<double>{1, 1});
}

TEST_CASE("grad reaches intermediates, and goes on through them to other inputs") {
  const Tensor x = variable({2.});
  const Tensor h = x * x;
  const std::vector<Tensor> g = grad({h * h}, {h, x});
  CHECK(g[0].item() == 8);
  CHECK(g[1].item() == 32);
}

TEST_CASE("an input that no output depends on is an error, or undefined on request") {
  const Tensor x = variable({2.});
  const Tensor unused = variable({2.});
  const Tensor constant = tensor({2.}, float64);
  CHECK_THROWS_MATCHES(grad({x * x}, {x, unused}), GraphError, Says("inputs[1]", "allow_unused"));
  CHECK_THROWS_MATCHES(grad({x * x}, {constant}), GraphError, Says("inputs[0]", "stops gradients"));
  const std::vector<Tensor> g = grad({x * x}, {x, unused}, {.allow_unused = true});
  CHECK(g[0].item() == 4);
  CHECK_FALSE(g[1].defined());
}

TEST_CASE("repeated, empty or undefined inputs and outputs are errors") {
  const Tensor x = variable({2.});
  const Tensor y = x * x;
  CHECK_THROWS_MATCHES(grad({y}, {x, x}), InvalidArgument, Says("inputs[0] and inputs[1]"));
  CHECK_THROWS_MATCHES(grad({y, y}, {x}), InvalidArgument, Says("outputs[0] and outputs[1]"));
  CHECK_THROWS_MATCHES(grad({y}, {Tensor()}), InvalidArgument, Says("inputs[0] is undefined"));
  CHECK_THROWS_AS(grad(std::span<const Tensor>(), std::span<const Tensor>()), InvalidArgument);
  CHECK_THROWS_MATCHES(grad({y}, {x}, {.grad_outputs = {ones({1}, float64), ones({1}, float64)}}), InvalidArgument,
                       Says("one starting gradient per output"));
}

TEST_CASE("create_graph gives derivatives of any order") {
  const Tensor x = variable({2.});
  Tensor d = x * x * x * x * x;
  for (const double expected : {80., 160., 240., 240., 120.}) {
    d = grad(d, x, {.create_graph = true});
    CHECK(d.item() == expected);
  }
}

TEST_CASE("Paddle's example: (y + dy/dx).backward() counts dy/dx only if it was recorded") {
  for (const bool create_graph : {false, true}) {
    const Tensor x = variable({1.});
    const Tensor y = x * x;
    const Tensor dx = grad(y, x, {.retain_graph = true, .create_graph = create_graph});
    (y + dx).backward();
    CHECK(x.grad().item() == (create_graph ? 4 : 2));
  }
}

TEST_CASE("backward with create_graph stores a gradient that can be differentiated") {
  Tensor x = variable({3.});
  (x * x * x).backward({}, {.create_graph = true});
  const Tensor first = x.grad();
  x.clear_gradient();
  first.backward();
  CHECK(x.grad().item() == 18);
  x.clear_gradient();
}

TEST_CASE("no_grad_vars cut the paths through them and keep their own flag") {
  const Tensor x = variable({2.});
  const Tensor a = x * 3.;
  const Tensor b = x * 5.;
  CHECK(grad({a + b}, {x}, {.retain_graph = true, .no_grad_vars = {a}}).front().item() == 5);
  CHECK_FALSE(a.stop_gradient());
  CHECK(grad({a + b}, {x}).front().item() == 8);
}

TEST_CASE("grad retains the graph exactly when asked or when creating one") {
  const Tensor x = variable({2.});
  Tensor y = x * x;
  (void)grad(y, x);
  CHECK_THROWS_AS(grad(y, x), GraphError);
  y = x * x;
  (void)grad(y, x, {.retain_graph = true});
  CHECK(grad(y, x, {.create_graph = true}).item() == 4);
  CHECK(grad(y, x).item() == 4);
}

TEST_CASE("a gradient penalty trains through the norm of a gradient") {
  // p(x) = (|d(w x^2)/dx| - 1)^2 with w x^2's derivative 2 w x: dp/dw = 2 (2 w x - 1) 2 x.
  const Tensor x = variable({1.5});
  const Tensor w = variable({2.});
  const Tensor dx = grad(w * x * x, x, {.create_graph = true});
  const Tensor norm = sqrt(sum(dx * dx));
  ((norm - 1.) * (norm - 1.)).backward();
  CHECK(w.grad().item() == Approx(2 * (2 * 2 * 1.5 - 1) * 2 * 1.5));
}
