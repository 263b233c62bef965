#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/base/layer.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
struct Net : Layer {
  Linear fc{{.input_dim = 2, .output_dim = 3}};
  Tensor count = zeros({1}), cache = zeros({1});
  Net() {
    register_layer("fc", fc);
    register_buffer("count", count);
    register_buffer("cache", cache, /*persistable=*/false);
  }
};
using Names = std::vector<std::string>;
}  // namespace

TEST_CASE("a state dict lists parameters and persistable buffers in order, live", "[smoke]") {
  Net net;
  const StateDict state = net.state_dict();
  REQUIRE(state.size() == 3);
  CHECK(state.entries()[0].first == "count");
  CHECK(state.entries()[1].first == "fc.weight");
  CHECK(state.entries()[2].first == "fc.bias");
  const StateDict copy = state.clone();
  net.fc.bias.fill(7);
  CHECK(state.at("fc.bias").at({0}) == 7);
  CHECK(copy.at("fc.bias").at({0}) == 0);
  CHECK(copy.at("fc.bias").stop_gradient());
}

TEST_CASE("loading copies the values and keeps the parameters") {
  Net from, to;
  from.count.fill(4);
  const Parameter kept = to.fc.weight;
  CHECK(to.set_dict(from.state_dict()).ok());
  CHECK(kept.to_vector<float>() == from.fc.weight.to_vector<float>());
  CHECK(to.count.item() == 4);
  from.fc.weight.fill(9);
  CHECK(kept.at({0, 0}) != 9);
}

TEST_CASE("a strict load names everything that does not fit, before anything changes") {
  const UniqueNameGuard guard;
  Net net;
  net.fc.weight.fill(1);
  StateDict state = net.state_dict().clone();
  state.erase("count");
  state.set("fc.weight", zeros({3, 2}));
  state.set("fc.bias", ones({3}, float64));
  state.insert("fc.extra", zeros({1}));
  CHECK_THROWS_MATCHES(net.set_dict(state), InvalidArgument,
                       MessageContains("set_dict", "net_0", "missing count", "unexpected fc.extra",
                                       "mismatched fc.weight: expected float32 [2, 3], got float32 [3, 2]",
                                       "mismatched fc.bias: expected float32 [3], got float64 [3]"));
  CHECK(net.fc.weight.at({0, 0}) == 1);
}

TEST_CASE("a loose load takes what fits and reports the rest") {
  Net net;
  StateDict state;
  state.insert("fc.weight", full({2, 3}, 5));
  state.insert("fc.bias", zeros({4}));
  state.insert("other", zeros({1}));
  const LoadReport report = net.set_dict(state, {.strict = false});
  CHECK(report.missing == Names{"count"});
  CHECK(report.unexpected == Names{"other"});
  CHECK(report.mismatched.size() == 1);
  CHECK(net.fc.weight.at({1, 2}) == 5);
}

TEST_CASE("states can be keyed by parameter names") {
  const UniqueNameGuard guard;
  Net net;
  const StateDict state = net.state_dict({.use_structured_name = false});
  CHECK(state.contains("linear_0.w_0"));
  CHECK(state.contains("count"));
  StateDict changed = state.clone();
  changed.set("linear_0.b_0", ones({3}));
  net.set_dict(changed, {.use_structured_name = false});
  CHECK(net.fc.bias.at({2}) == 1);
}

TEST_CASE("a state dict has distinct names and finds them") {
  StateDict state;
  state.insert("a", ones({1}));
  CHECK_THROWS_MATCHES(state.insert("a", ones({1})), InvalidArgument, MessageContains("\"a\" is there already"));
  CHECK_THROWS_MATCHES(state.at("b"), InvalidArgument, MessageContains("no \"b\"", "names: a"));
  CHECK_THROWS_AS(StateDict({{"a", ones({1})}, {"a", ones({1})}}), InvalidArgument);
  StateDict outer;
  outer.insert_all("model.", state);
  CHECK(outer.contains("model.a"));
  CHECK(outer.with_prefix("model.").contains("a"));
  CHECK(!outer.erase("a"));
}

TEST_CASE("two parameters of one name cannot be told apart by it") {
  Parameter first, second;
  {
    const UniqueNameGuard guard;
    first = Parameter(ones({1}));
  }
  {
    const UniqueNameGuard guard;
    second = Parameter(zeros({1}));
  }
  REQUIRE(first.name() == second.name());
  Layer net;
  net.add_parameter("a", first);
  net.add_parameter("b", second);
  CHECK(net.state_dict().size() == 2);
  CHECK_THROWS_MATCHES(net.state_dict({.use_structured_name = false}), InvalidArgument,
                       MessageContains("state_dict", first.name(), "at b", "fix"));
}

TEST_CASE("a state may consist of the layer's own tensors in other places") {
  Layer net;
  const Parameter a = net.add_parameter("a", Parameter(full({3}, 1)));
  const Parameter b = net.add_parameter("b", Parameter(full({3}, 2)));
  net.set_dict({{{"a", b}, {"b", a}}});
  CHECK(a.at({0}) == 2);
  CHECK(b.at({2}) == 1);
}

TEST_CASE("setting a parameter to what does not fit names it") {
  const UniqueNameGuard guard;
  Net net;
  CHECK_THROWS_MATCHES(net.fc.weight.set_value(zeros({3, 2})), ShapeError,
                       MessageContains("set_value", "linear_0.w_0", "expected [2, 3]", "got [3, 2]"));
  CHECK_THROWS_MATCHES(net.parameters()[1].set_value(zeros({3}, float64)), DtypeError,
                       MessageContains("set_value", "linear_0.b_0", "expected float32", "got float64", "fix"));
}

TEST_CASE("a long name of a parameter is shortened where a value does not fit") {
  Parameter parameter(ones({1}), {.name = std::string(100'000, 'n')});
  try {
    parameter.set_value(ones({2}));
    FAIL("the shapes differ");
  } catch (const ShapeError& error) {
    const std::string text = error.what();
    CHECK(text.find("parameter \"nnn") != std::string::npos);
    CHECK(text.size() < 10'000);
  }
}

TEST_CASE("a state dict stays in order while entries come and go") {
  StateDict state;
  const Tensor x = ones({1});
  constexpr int kMany = 20'000;  // a scan for each of them would be hundreds of millions of steps
  const auto name = [](int i) { return "entry" + std::to_string(i); };
  for (int i = 0; i < kMany; ++i) state.insert(name(i), x);
  for (int i = 0; i < kMany; ++i) state.set(name(i), x);
  StateDict from_front = state;
  for (int i = 0; i < kMany - 1; ++i) CHECK(from_front.erase(name(i)));
  CHECK(from_front.entries().front().first == name(kMany - 1));
  for (int i = kMany - 1; i >= 3; --i) CHECK(state.erase(name(i)));
  state.erase(name(1));
  state.insert(name(1), zeros({1}));
  Names names;
  for (const auto& [key, tensor] : state) names.push_back(key);
  CHECK(names == Names{"entry0", "entry2", "entry1"});
  CHECK(state.at("entry1").item() == 0);
  CHECK(!state.find("entry3"));
  StateDict copy = state;
  copy.erase("entry0");
  copy.set("entry2", zeros({1}));
  CHECK(state.at("entry2").item() == 1);
  CHECK(copy.entries().front().first == "entry2");
  StateDict moved = std::move(copy);
  CHECK(moved.contains("entry1"));
  const StateDict& same = moved;
  moved = same;
  CHECK(moved.size() == 2);
  moved.insert_all("again.", moved);
  CHECK(moved.size() == 4);
  CHECK_THROWS_AS(moved.insert_all("again.", StateDict({{"new", x}, {"entry1", x}})), InvalidArgument);
  CHECK(moved.size() == 4);
  CHECK(!moved.contains("again.new"));
}

TEST_CASE("layers that are shared at every level have a limit of paths") {
  const auto nested = [](int depth) {
    LayerPtr layer = std::make_shared<Linear>(Linear::Options{.input_dim = 1, .output_dim = 1, .bias_attr = false});
    for (int i = 0; i < depth; ++i) {
      auto above = std::make_shared<Layer>();
      above->add_sublayer("a", layer);
      above->add_sublayer("b", layer);
      layer = above;
    }
    return layer;
  };
  CHECK(nested(3)->state_dict().size() == 8);
  CHECK_THROWS_MATCHES(nested(40)->state_dict(), InvalidArgument,
                       MessageContains("state_dict", "too many paths", "at most 1048576", "fix"));
  CHECK(nested(40)->parameters().size() == 1);
}
