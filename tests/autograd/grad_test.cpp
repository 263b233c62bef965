#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

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
  CHECK_THROWS_MATCHES(grad({x * x}, {x, unused}), GraphError, MessageContains("inputs[1]", "allow_unused"));
  CHECK_THROWS_MATCHES(grad({x * x}, {constant}), GraphError, MessageContains("inputs[0]", "stops gradients"));
  const std::vector<Tensor> g = grad({x * x}, {x, unused}, {.allow_unused = true});
  CHECK(g[0].item() == 4);
  CHECK_FALSE(g[1].defined());
}

TEST_CASE("empty or undefined inputs and outputs are errors") {
  const Tensor x = variable({2.});
  const Tensor y = x * x;
  CHECK_THROWS_MATCHES(grad({y}, {Tensor()}), InvalidArgument, MessageContains("inputs[0] is undefined"));
  CHECK_THROWS_MATCHES(grad({Tensor()}, {x}), InvalidArgument, MessageContains("outputs[0] is undefined"));
  CHECK_THROWS_MATCHES(grad(std::span<const Tensor>(&y, 1), std::span<const Tensor>()), InvalidArgument,
                       MessageContains("expected at least one output and one input, got 1 and 0"));
  CHECK_THROWS_MATCHES(grad({y}, {x}, {.grad_outputs = {ones({1}, float64), ones({1}, float64)}}), InvalidArgument,
                       MessageContains("one starting gradient per output"));
}

TEST_CASE("an output that is named twice counts twice, and each place of an input gets its gradient") {
  const Tensor x = variable({2.}), w = variable({3.});
  const Tensor y = x * x * w;
  CHECK(grad({y, y}, {x}, {.retain_graph = true}).front().item() == 24);
  const Tensor one = ones({1}, float64);
  CHECK(grad({y, y}, {x}, {.grad_outputs = {one * 2., one * 3.}, .retain_graph = true}).front().item() == 60);
  std::vector<Tensor> g = grad({y}, {x, w, x}, {.retain_graph = true});
  CHECK(g[0].item() == 12);
  CHECK(g[1].item() == 4);
  CHECK(g[2].item() == 12);
  g[0].fill(0);
  CHECK(g[2].item() == 12);
  const std::vector<Tensor> recorded = grad({y}, {x, x}, {.create_graph = true});
  CHECK(grad({recorded[0], recorded[1]}, {x}).front().item() == 12);
  CHECK_FALSE(grad({x * x}, {w, w}, {.allow_unused = true})[1].defined());
}

TEST_CASE("gradients that are one tensor can be differentiated again") {
  const Tensor a = variable({2.}), b = variable({3.});
  const std::vector<Tensor> first = grad({square(a + b).sum()}, {a, b}, {.create_graph = true});
  const std::vector<Tensor> second = grad({first[0], first[1]}, {a, b});
  CHECK(second[0].item() == 4);
  CHECK(second[1].item() == 4);
}

TEST_CASE("grad takes lists of what derives from Tensor") {
  struct Named : Tensor {
    explicit Named(const Tensor& value) : Tensor(value) {}
    std::string label;
  };
  const std::vector<Named> parameters{Named(variable({2.})), Named(variable({3.}))};
  const Tensor loss = parameters[0] * parameters[1];
  const std::vector<Tensor> g = grad({loss}, parameters);
  CHECK(g[0].item() == 3);
  CHECK(g[1].item() == 2);
}

TEST_CASE("grad of what stops gradients says which tensor, and what made it so") {
  const Tensor x = variable({2.});
  const Tensor slope = grad(x * x, x);
  CHECK_THROWS_MATCHES(grad(slope, x), GraphError,
                       MessageContains("outputs[0] [1] stops gradients", "create_graph = true", "NoGrad", "detach()"));
  const Tensor constant = tensor({2.}, float64);
  CHECK_THROWS_MATCHES(grad(x * constant, constant), GraphError,
                       MessageContains("inputs[0] [1] stops gradients", "set_stop_gradient(false)", "before"));
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

TEST_CASE("grad runs and frees only the ops between outputs and inputs") {
  const Tensor x = variable({2.});
  const Tensor h = exp(x);
  const Tensor y = h * h;
  CHECK(grad(y.sum(), h).item() == 2 * h.item());
  h.sum().backward();
  CHECK(x.grad().item() == h.item());
}

TEST_CASE("grad leaves hooks of outputs that lead to no input alone") {
  const Tensor x = variable({2.}), other = variable({3.});
  const Tensor a = x * 2., b = other * 2.;
  int calls = 0;
  (void)b.register_hook([&](const Tensor&) { return ++calls, Tensor(); });
  CHECK(grad({a, b}, {x}).front().item() == 2);
  CHECK(calls == 0);
}

TEST_CASE("grad leaves retained gradients as they are") {
  const Tensor x = variable({3.});
  Tensor h = x * 2.;
  h.retain_grad();
  CHECK(grad(h * h, x).item() == 24);
  CHECK_FALSE(h.grad().defined());
}

TEST_CASE("results of grad have memory of their own") {
  const Tensor a = variable({1., 2.}), b = variable({3., 4.});
  const Tensor seed = tensor({5., 6.}, float64);
  std::vector<Tensor> g = grad({a + b}, {a, b}, {.grad_outputs = {seed}});
  g[0].fill(9);
  CHECK(g[1].to_vector<double>() == std::vector<double>{5, 6});
  Tensor same = grad({a}, {a}, {.grad_outputs = {seed}}).front();
  same.fill(9);
  CHECK(seed.to_vector<double>() == std::vector<double>{5, 6});
  Tensor repeated = grad(a.sum(), a);
  repeated.set_value(seed);
  CHECK(repeated.to_vector<double>() == std::vector<double>{5, 6});
}

namespace {
/// sum(x w), whose gradient for x is a tensor that the op kept.
struct Dot {
  static constexpr std::string_view name = "dot";
  Tensor forward(const Tensor& x, const Tensor& w) const { return sum(x * w); }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(1); }
  Grads<2> vjp(const Tensor&, const Saved& saved, NeedsGrad) const { return {saved[1], Tensor()}; }
};
}  // namespace

TEST_CASE("gradients without create_graph stop gradients, also those that an op had kept") {
  const Tensor x = variable({1., 2.});
  Tensor w = variable({3., 4.});
  const Tensor g = grad(apply(Dot{}, x, w), x, {.retain_graph = true});
  CHECK(g.stop_gradient());
  apply(Dot{}, x, w).backward();
  CHECK(x.grad().stop_gradient());
  w.fill(0);
  CHECK(g.to_vector<double>() == std::vector<double>{3, 4});
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 4});
}

TEST_CASE("a recorded gradient stays the same function when an intermediate is cut later") {
  const Tensor x = variable({2.});
  Tensor h = x * x;
  const Tensor y = (h * h).sum();  // x^4
  h.set_stop_gradient(true);
  const Tensor g = grad(y, x, {.create_graph = true});
  CHECK(grad(g.sum(), x).item() == 12 * 4);
}

TEST_CASE("a recorded gradient stays the same function when a leaf is frozen, or a constant becomes one, later") {
  Tensor w = variable({2.}), c = tensor({3.}, float64);
  const Tensor x = variable({5.});
  const Tensor y = w * w * w * c * x;
  w.set_stop_gradient(true);
  c.set_stop_gradient(false);
  const Tensor g = grad(y, x, {.create_graph = true});  // w^3 c
  g.backward();
  CHECK(w.grad().item() == 3 * 4 * 3);
  CHECK_FALSE(c.grad().defined());
}

TEST_CASE("second derivatives flow into a leaf that was frozen after it was used") {
  Tensor w = variable({2.});
  const Tensor y = w * w * w;
  w.set_stop_gradient(true);
  y.backward({}, {.create_graph = true});
  const Tensor first = w.grad();
  CHECK(first.item() == 12);
  w.clear_gradient();
  first.backward();
  CHECK(w.grad().item() == 12);
  w.clear_gradient();
}
