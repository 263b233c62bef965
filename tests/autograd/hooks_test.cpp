#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/hooks.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>

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
                       MessageContains("register_hook", "stops gradients"));
  CHECK_THROWS_AS(on_grad_ready(x, [](const Tensor&) {}), GraphError);
}

TEST_CASE("a hook may not change the shape") {
  const Tensor x = variable(2);
  (void)x.register_hook([](const Tensor&) { return ones({5}, float64); });
  CHECK_THROWS_MATCHES((x * x).backward(), ShapeError, MessageContains("expected [1]", "got [5]"));
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

TEST_CASE("a hook that is an empty function is refused when it is registered") {
  const Tensor x = variable(2);
  CHECK_THROWS_MATCHES(x.register_hook({}), InvalidArgument, MessageContains("register_hook", "empty"));
  CHECK_THROWS_MATCHES(on_grad_ready(x, {}), InvalidArgument, MessageContains("on_grad_ready", "empty"));
  (x * x).backward();
  CHECK(x.grad().item() == 4);
}

TEST_CASE("what a hook returns loses its graph, unless the pass has create_graph") {
  const Tensor x = variable(2), z = variable(3);
  Tensor h = x * 2.;
  const Tensor recorded = z * z;
  (void)h.register_hook([recorded](const Tensor&) { return recorded; });
  h.retain_grad();
  CHECK(grad(h.sum(), h).stop_gradient());
  h.sum().backward({}, {.retain_graph = true});
  CHECK(h.grad().stop_gradient());
  CHECK(x.grad().stop_gradient());
  CHECK(x.grad().item() == 18);
  const Tensor g = grad(h.sum(), x, {.create_graph = true});
  CHECK(grad(g, z).item() == 12);
}

TEST_CASE("what a hook throws leaves a pass as it is, standard exceptions about memory too") {
  const Tensor x = variable(2);
  const auto thrown_by = [&](auto error, auto register_hook) {
    HookHandle handle = register_hook([error] { throw error; });
    CHECK_THROWS_AS((x * x).backward(), decltype(error));
    handle.remove();
  };
  const auto as_hook = [&](auto f) { return x.register_hook([f](const Tensor&) { return f(), Tensor(); }); };
  const auto as_ready = [&](auto f) { return on_grad_ready(x, [f](const Tensor&) { f(); }); };
  thrown_by(std::length_error("mine"), as_hook);
  thrown_by(std::bad_alloc(), as_hook);
  thrown_by(std::length_error("mine"), as_ready);
  thrown_by(std::bad_alloc(), as_ready);

  // Through a pass within a hook, and what follows is the library's own again.
  const Tensor inner = variable(5);
  (void)inner.register_hook([](const Tensor&) -> Tensor { throw std::length_error("inner"); });
  const Tensor y = inner * inner;
  (void)x.register_hook([&](const Tensor&) { return y.backward(), Tensor(); });
  CHECK_THROWS_AS((x * x).backward(), std::length_error);
  CHECK_THROWS_AS(detail::with_out_of_memory("op", [] { throw std::length_error("not a user's"); }), OutOfMemory);
}

namespace {

/// Throws `error` from its forward or its vjp.
template <class E>
struct Throwing {
  static constexpr std::string_view name = "throwing";
  E error;
  bool in_forward;
  Tensor forward(const Tensor& x) const { return in_forward ? throw error : x * 1.; }
  Grads<1> vjp(const Tensor&, const Saved&, NeedsGrad) const { throw error; }
};

struct ThrowingOnMany {
  static constexpr std::string_view name = "throwing_on_many";
  bool in_forward;
  Tensor forward(std::span<const Tensor> x) const { return in_forward ? throw std::length_error("mine") : x[0] * 1.; }
  std::vector<Tensor> vjp(const Tensor&, const Saved&, NeedsGrad) const { throw std::length_error("mine"); }
};

}  // namespace

TEST_CASE("what a user's op throws leaves apply and a pass as it is, standard exceptions about memory too") {
  const Tensor x = variable(2);
  const auto check = [&](auto error) {
    using E = decltype(error);
    CHECK_THROWS_AS(dygrad::apply(Throwing<E>{error, true}, x), E);
    const Tensor y = dygrad::apply(Throwing<E>{error, false}, x);
    CHECK_THROWS_AS(y.backward({}, {.retain_graph = true}), E);
    CHECK_THROWS_AS(grad(y, x), E);
  };
  check(std::length_error("mine"));
  check(std::bad_alloc());
  CHECK_THROWS_AS(dygrad::apply(ThrowingOnMany{true}, std::span(&x, 1)), std::length_error);
  CHECK_THROWS_AS(dygrad::apply(ThrowingOnMany{false}, std::span(&x, 1)).backward(), std::length_error);
  // Tensors that it gets no memory for are OutOfMemory in its name.
  CHECK_THROWS_MATCHES(dygrad::apply(Throwing<OutOfMemory>{OutOfMemory("allocate: no."), true}, x), OutOfMemory,
                       MessageContains("throwing: no."));
}

TEST_CASE("a hook that returns a wrong shape or dtype is named as a hook") {
  const Tensor x = variable(2);
  const Tensor h = x * 3.;
  HookHandle handle = h.register_hook([](const Tensor&) { return ones({2}, float64); });
  CHECK_THROWS_MATCHES(h.backward(), ShapeError,
                       MessageContains("returned by a hook", "mul -> [1]", "expected [1], got [2]"));
  handle.remove();
  (void)x.register_hook([](const Tensor&) { return ones({1}, float32); });
  CHECK_THROWS_MATCHES((x * 3.).backward(), DtypeError, MessageContains("returned by a hook", "leaf", "float64"));
}

TEST_CASE("on_grad_ready and set_grad of an intermediate point to register_hook") {
  const Tensor x = variable(2);
  Tensor h = x * 3.;
  CHECK_THROWS_MATCHES(on_grad_ready(h, [](const Tensor&) {}), GraphError,
                       MessageContains("only leaves", "mul", "register_hook"));
  CHECK_THROWS_MATCHES(h.set_grad(ones({1}, float64)), GraphError,
                       MessageContains("only leaves", "mul", "register_hook"));
  Tensor constant = ones({1});
  CHECK_THROWS_MATCHES(on_grad_ready(constant, [](const Tensor&) {}), GraphError,
                       MessageContains("set_stop_gradient(false)"));
}
