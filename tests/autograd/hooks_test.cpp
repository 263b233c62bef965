#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/hooks.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>

#include "../support/catch.h"

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor variable(double value) { return full({1}, value, float64).set_stop_gradient(false); }
}  // namespace

TEST_CASE("hooks see the whole gradient of a tensor, in order, and may replace it") {
  const Tensor x = variable(2);
  const Tensor h = x * 3.;
  std::vector<double> seen;
  (void)h.register_hook([&](const Tensor& g) {
    seen.push_back(g.item());
    return g * 10.;
  });
  (void)h.register_hook([&](const Tensor& g) {
    seen.push_back(g.item());
    return Tensor();
  });
  (h * h + h).backward();
  CHECK(seen == std::vector<double>{13, 130});
  CHECK(x.grad().item() == 390);
}

TEST_CASE("hooks of a leaf run on this pass's sum, before it is added to the stored gradient") {
  const Tensor x = variable(2);
  std::vector<double> seen;
  (void)x.register_hook([&](const Tensor& g) {
    seen.push_back(g.item());
    return g * 2.;
  });
  (x * x).backward();
  (x * x).backward();
  CHECK(seen == std::vector<double>{4, 4});
  CHECK(x.grad().item() == 16);
}

TEST_CASE("a removed hook does not run; removing twice, or after the tensor is gone, is harmless") {
  HookHandle handle;
  {
    const Tensor x = variable(2);
    int calls = 0;
    handle = x.register_hook([&](const Tensor&) {
      ++calls;
      return Tensor();
    });
    HookHandle copy = handle;
    copy.remove();
    copy.remove();
    (x * x).backward();
    CHECK(calls == 0);
  }
  CHECK_NOTHROW(handle.remove());
}

TEST_CASE("a hook on a tensor that stops gradients is an error") {
  const Tensor x = ones({1});
  CHECK_THROWS_MATCHES(x.register_hook([](const Tensor&) { return Tensor(); }), GraphError,
                       Says("register_hook", "stops gradients"));
  CHECK_THROWS_AS(on_grad_ready(x, [](const Tensor&) {}), GraphError);
}

TEST_CASE("a hook may not change the shape") {
  const Tensor x = variable(2);
  (void)x.register_hook([](const Tensor&) { return ones({5}, float64); });
  CHECK_THROWS_MATCHES((x * x).backward(), ShapeError, Says("expected [1]", "got [5]"));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("grad-ready hooks fire once per pass, as soon as a leaf is complete") {
  const Tensor first = variable(2);
  const Tensor last = variable(3);
  std::vector<std::string> order;
  const Tensor h = first * first;
  (void)on_grad_ready(last,
                      [&](const Tensor& g) { order.push_back("last " + std::to_string(static_cast<int>(g.item()))); });
  (void)on_grad_ready(first, [&](const Tensor&) { order.push_back("first"); });
  (void)h.register_hook([&](const Tensor&) {
    order.push_back("h");
    return Tensor();
  });
  (h * last).backward();
  CHECK(order == std::vector<std::string>{"last 4", "h", "first"});
}

TEST_CASE("a hook may run a backward pass of its own") {
  const Tensor x = variable(2);
  const Tensor other = variable(5);
  (void)x.register_hook([&](const Tensor& g) {
    const EnableGrad recording;  // hooks run as the pass does: recording only under create_graph
    return g + grad(other * other, other);
  });
  (x * x).backward();
  CHECK(x.grad().item() == 14);
}
