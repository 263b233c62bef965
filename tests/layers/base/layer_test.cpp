#include <dygrad/autograd/node.h>
#include <dygrad/layers/base/layer.h>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

struct Scale : Layer {
  Parameter factor = create_parameter({.shape = {1}, .default_initializer = Constant{.value = 2}});
  Scale() { register_parameter("factor", factor); }
  Tensor forward(const Tensor& x) override { return x * factor; }
};

struct Net : Layer {
  Parameter own = create_parameter({.shape = {1}});
  Scale a, b;
  Tensor table = zeros({2}), scratch = zeros({3});
  Net() {
    register_layer("a", a);
    register_layer("b", b);
    register_parameter("own", own);
    register_buffer("table", table);
    register_buffer("scratch", scratch, /*persistable=*/false);
  }
  Tensor forward(const Tensor& x) override { return b(a(x)); }
};

template <class Named>
std::vector<std::string> names_of(const std::vector<Named>& named) {
  std::vector<std::string> names;
  for (const Named& entry : named) names.push_back(entry.first);
  return names;
}
using Names = std::vector<std::string>;

struct Registrar : Layer {
  Parameter p;
  Tensor t;
  void parameter(const std::string& name) { register_parameter(name, p); }
  void buffer(const std::string& name) { register_buffer(name, t); }
  void self() { register_layer("self", *this); }
};

}  // namespace

TEST_CASE("names are walked depth first, own entries before sublayers'", "[smoke]") {
  Net net;
  CHECK(names_of(net.named_parameters()) == Names{"own", "a.factor", "b.factor"});
  CHECK(names_of(net.named_parameters("net")) == Names{"net.own", "net.a.factor", "net.b.factor"});
  CHECK(names_of(net.named_parameters({}, /*include_sublayers=*/false)) == Names{"own"});
  CHECK(names_of(net.named_sublayers()) == Names{"a", "b"});
  CHECK(names_of(net.named_sublayers("net", /*include_self=*/true)) == Names{"net", "net.a", "net.b"});
  CHECK(names_of(net.named_children()) == Names{"a", "b"});
  CHECK(names_of(net.named_buffers()) == Names{"table", "scratch"});
  CHECK(net.parameters().size() == 3);
  CHECK(net.sublayers().size() == 2);
  CHECK(net.num_parameters() == 3);
}

TEST_CASE("assigning a member is seen, and a shared parameter is listed once") {
  Net net;
  net.b.factor = net.a.factor;
  CHECK(names_of(net.named_parameters()) == Names{"own", "a.factor"});
  CHECK(net.state_dict().size() == 4);
  net.b.factor = nullptr;
  CHECK(names_of(net.named_parameters()) == Names{"own", "a.factor"});
}

TEST_CASE("a shared layer is listed once") {
  Layer outer;
  const auto shared = std::make_shared<Scale>();
  outer.add_sublayer("first", shared);
  outer.add_sublayer("second", shared);
  CHECK(names_of(outer.named_sublayers()) == Names{"first"});
  CHECK(outer.parameters().size() == 1);
}

TEST_CASE("bad names of parts are refused") {
  Registrar layer;
  layer.parameter("p");
  CHECK_THROWS_MATCHES(layer.parameter("p"), InvalidArgument, MessageContains("part named \"p\" already"));
  CHECK_THROWS_MATCHES(layer.buffer("p"), InvalidArgument, MessageContains("register_buffer", "\"p\""));
  CHECK_THROWS_MATCHES(layer.buffer(""), InvalidArgument, MessageContains("must not be empty"));
  CHECK_THROWS_MATCHES(layer.buffer("a.b"), InvalidArgument, MessageContains("\"a.b\"", "'.'"));
  CHECK_THROWS_MATCHES(layer.self(), InvalidArgument, MessageContains("part of itself"));
  CHECK_THROWS_MATCHES(layer.add_sublayer("x", nullptr), InvalidArgument, MessageContains("\"x\" is null"));
}

TEST_CASE("train and eval reach a layer and its sublayers only") {
  Net net;
  Scale other;
  net.eval();
  CHECK(!net.training());
  CHECK(!net.a.training());
  CHECK(other.training());
  net.a.train();
  CHECK(net.a.training());
  CHECK(!net.b.training());
}

TEST_CASE("eval leaves recording of gradients alone") {
  Net net;
  net.eval();
  CHECK(!net(ones({2})).stop_gradient());
}

TEST_CASE("hooks run in order around forward and can replace what passes") {
  Scale layer;
  std::vector<int> order;
  HookHandle first = layer.register_forward_pre_hook([&](Layer&, const Tensor& x) {
    order.push_back(1);
    return x + 1;
  });
  layer.register_forward_pre_hook([&](Layer&, const Tensor&) {
    order.push_back(2);
    return Tensor();
  });
  HookHandle last = layer.register_forward_post_hook([&](Layer& self, const Tensor& x, const Tensor& y) {
    order.push_back(3);
    CHECK(&self == &layer);
    CHECK(x.item() == 2);
    return y * 10;
  });
  CHECK(layer(ones({1})).item() == 40);
  CHECK(order == std::vector<int>{1, 2, 3});
  first.remove();
  first.remove();
  last.remove();
  CHECK(layer(ones({1})).item() == 2);
}

TEST_CASE("forward without an override says so") {
  const UniqueNameGuard guard;
  Layer layer("bare");
  CHECK_THROWS_MATCHES(layer(ones({1})), Error, MessageContains("forward", "not implemented by bare_0", "override"));
}

TEST_CASE("errors inside a layer keep their type and name every layer they leave") {
  const UniqueNameGuard guard;
  struct Outer : Layer {
    Linear inner{{.input_dim = 3, .output_dim = 1}};
    Outer() { register_layer("inner", inner); }
    Tensor forward(const Tensor& x) override { return inner(x); }
  } outer;
  CHECK_THROWS_MATCHES(outer(ones({1, 2})), ShapeError, MessageContains("in layer linear_0", "in layer outer_0"));
}

TEST_CASE("apply visits children first") {
  Net net;
  std::vector<Layer*> visited;
  CHECK(&net.apply([&](Layer& layer) { visited.push_back(&layer); }) == &net);
  CHECK(visited == std::vector<Layer*>{&net.a, &net.b, &net});
}

TEST_CASE("clear_gradients drops gradients of trainable parameters") {
  Net net;
  net(ones({1})).backward();
  CHECK(net.a.factor.grad().defined());
  net.clear_gradients();
  CHECK(!net.a.factor.grad().defined());
}

TEST_CASE("create_parameter checks its shape and dtype, and what the initializer leaves") {
  Layer layer;
  CHECK_THROWS_MATCHES(layer.create_parameter({.shape = {2, 0}}), ShapeError, MessageContains("positive", "[2, 0]"));
  CHECK_THROWS_MATCHES(layer.create_parameter({.shape = {2}, .attr = false}), InvalidArgument,
                       MessageContains("param_attr"));
  CHECK(!layer.create_parameter({.shape = {2}, .attr = false, .is_bias = true}).defined());
  CHECK_THROWS_MATCHES(layer.create_parameter({.shape = {2}, .attr = [](Tensor& w) { w = zeros({3}); }}),
                       InvalidArgument, MessageContains("expected float32 [2]", "got float32 [3]"));
  CHECK_THROWS_MATCHES(Layer("x", int64), DtypeError, MessageContains("got int64"));
  CHECK(Layer("x", float64).create_parameter({.shape = {2}}).dtype() == float64);
}

TEST_CASE("anomaly mode names the layer an op was recorded in") {
  const UniqueNameGuard guard;
  const AnomalyMode anomaly;
  Scale layer;
  const Tensor y = layer(tensor({0.}));
  const Tensor bad = log(y);
  CHECK_THROWS_MATCHES(bad.sum().backward(), GraphError, MessageContains("log", "infinite"));  // its gradient is
  CHECK_THROWS_MATCHES(bad * 0.0, GraphError, MessageContains("mul: the output has a NaN"));
  CHECK_THAT(static_cast<Node*>(y.impl()->autograd.get())->describe(), ContainsSubstring("in scale_0"));
}

TEST_CASE("empty functions are refused when they are given") {
  Layer layer;
  CHECK_THROWS_MATCHES(layer.register_forward_pre_hook({}), InvalidArgument,
                       MessageContains("register_forward_pre_hook", "empty function"));
  CHECK_THROWS_MATCHES(layer.register_forward_post_hook({}), InvalidArgument,
                       MessageContains("register_forward_post_hook", "fix"));
  CHECK_THROWS_MATCHES(layer.apply({}), InvalidArgument, MessageContains("apply", "empty"));
}
