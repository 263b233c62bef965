// Layers that would contain themselves, layers that others share, and layers nested deeply.
#include <dygrad/core/base/error.h>
#include <dygrad/layers/checkpoint.h>
#include <dygrad/layers/containers/layer_list.h>
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/temporary_folder.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Registers whatever it is given.
struct Part : Layer {
  Parameter weight = create_parameter({.shape = {1}});
  Part() { register_parameter("weight", weight); }
  void hold(const std::string& name, Layer& other) { register_layer(name, other); }
};

/// All that walks a layer's sublayers.
void walk_everywhere(Layer& layer) {
  const TemporaryFolder folder;
  (void)layer.parameters();
  (void)layer.named_parameters("net");
  (void)layer.buffers();
  (void)layer.named_buffers();
  (void)layer.sublayers(/*include_self=*/true);
  (void)layer.children();
  (void)layer.num_parameters();
  layer.train();
  layer.eval();
  layer.clear_gradients();
  layer.apply([](Layer&) {});
  (void)layer.compare_dict(layer.state_dict());
  layer.set_dict(layer.state_dict().clone());
  save_state(folder.file("state"), layer);
  load_state(folder.file("state"), layer);
}

const auto kCycle = MessageContains("a layer cannot be part of itself", "expected", "got", "fix");

}  // namespace

TEST_CASE("a container cannot hold itself, directly or through others", "[smoke]") {
  const auto outer = std::make_shared<Sequential>(), inner = std::make_shared<Sequential>();
  const auto list = std::make_shared<LayerList>();
  CHECK_THROWS_MATCHES(outer->append(outer), InvalidArgument, kCycle);
  CHECK_THROWS_MATCHES(outer->append("me", outer), InvalidArgument, kCycle);
  CHECK_THROWS_MATCHES(outer->insert(0, outer), InvalidArgument, kCycle);
  CHECK_THROWS_MATCHES(outer->extend({outer}), InvalidArgument, kCycle);
  CHECK_THROWS_MATCHES(outer->add_sublayer("me", outer), InvalidArgument, kCycle);
  outer->append(inner);
  inner->append("list", list);
  list->append(make_layer<Linear>({.input_dim = 1, .output_dim = 1}));
  CHECK_THROWS_MATCHES(list->append(outer), InvalidArgument, kCycle);
  CHECK_THROWS_MATCHES(list->set(0, inner), InvalidArgument, MessageContains("set", "part of itself", "\"list\""));
  CHECK_THROWS_MATCHES(inner->extend({make_layer<Linear>({.input_dim = 1, .output_dim = 1}), outer}), InvalidArgument,
                       MessageContains("extend", "part of itself", "\"0\""));
  CHECK(inner->size() == 1);
  CHECK(list->size() == 1);
  CHECK(outer.use_count() == 1);
  CHECK(outer->state_dict().contains("0.list.0.weight"));
  walk_everywhere(*outer);
}

TEST_CASE("registered members form no cycle either, whoever registers first") {
  {
    Part parent, child;
    parent.hold("child", child);
    CHECK_THROWS_MATCHES(child.hold("parent", parent), InvalidArgument,
                         MessageContains("register_layer", "part of itself"));
    walk_everywhere(parent);
    walk_everywhere(child);
  }
  {
    Part parent, child;
    child.hold("parent", parent);
    CHECK_THROWS_MATCHES(parent.hold("child", child), InvalidArgument, MessageContains("holds this one as \"parent\""));
  }
  {
    Part a, b, c, d;
    a.hold("b", b);
    b.hold("c", c);
    c.hold("d", d);
    CHECK_THROWS_MATCHES(d.hold("a", a), InvalidArgument, MessageContains("holds this one as \"b.c.d\""));
    d.hold("leaf", *std::make_unique<Part>());  // may be any other
  }
  struct Knowing : Layer {
    explicit Knowing(Layer& parent) { register_layer("parent", parent); }
  };
  struct Parent : Layer {
    Knowing child{*this};
    Parent() { register_layer("child", child); }
  };
  CHECK_THROWS_MATCHES(Parent(), InvalidArgument, kCycle);
}

TEST_CASE("a cycle through members and containers is seen") {
  struct Net : Layer {
    Sequential body;
    Net() { register_layer("body", body); }
  };
  const auto net = std::make_shared<Net>();
  CHECK_THROWS_MATCHES(net->body.append(net), InvalidArgument, kCycle);
  net->body.append(make_layer<Linear>({.input_dim = 1, .output_dim = 1}));
  CHECK_THROWS_MATCHES(net->body.set(0, net), InvalidArgument, kCycle);
  CHECK(net.use_count() == 1);
  walk_everywhere(*net);
}

TEST_CASE("a layer that was taken out can hold the one it was in") {
  const auto a = std::make_shared<Sequential>(), b = std::make_shared<Sequential>();
  a->append(b);
  a->erase(0);
  b->append(a);
  CHECK(b->sublayers().size() == 1);
}

TEST_CASE("a layer that several share is no cycle, and its state appears under each path") {
  const auto shared = std::make_shared<Part>();
  const auto left = std::make_shared<Sequential>(), right = std::make_shared<Sequential>();
  left->append(shared);
  right->append(shared);
  right->append(left);
  Sequential both{left, right};
  CHECK(both.parameters().size() == 1);
  CHECK(both.state_dict().size() == 3);
  CHECK(both.state_dict().contains("1.1.0.weight"));
  walk_everywhere(both);
}

TEST_CASE("visiting layers may add layers") {
  Sequential net{std::make_shared<Sequential>(), std::make_shared<Sequential>()};
  int visits = 0;
  net.apply([&](Layer&) {
    ++visits;
    net.append(std::make_shared<Part>());
  });
  CHECK(visits == 3);
  CHECK(net.size() == 5);
}

TEST_CASE("a hundred thousand nested layers are walked and destroyed") {
  constexpr int kDepth = 100'000;
  const auto innermost = std::make_shared<Part>();
  LayerPtr net = innermost;
  for (int i = 0; i < kDepth; ++i) {
    const auto around = std::make_shared<Sequential>();
    around->append(std::move(net));
    net = around;
  }
  walk_everywhere(*net);
  CHECK(!innermost->training());
  CHECK(net->sublayers().size() == kDepth);
  CHECK(innermost.use_count() == 2);
  net = nullptr;
  CHECK(innermost.use_count() == 1);

  // From the outside in, every layer being part of another when it gets its own.
  const auto outermost = std::make_shared<Sequential>();
  Sequential* last = outermost.get();
  for (int i = 0; i < kDepth; ++i) last = &last->append<Sequential>();
  CHECK_THROWS_MATCHES(last->append(outermost), InvalidArgument, kCycle);
}

TEST_CASE("a hundred thousand neighbours are appended, walked and erased") {
  Sequential net;
  const auto shared = std::make_shared<Part>();
  for (int i = 0; i < 100'000; ++i) net.append(shared);
  CHECK(net.sublayers().size() == 1);
  CHECK(net.state_dict().size() == 100'000);
}
