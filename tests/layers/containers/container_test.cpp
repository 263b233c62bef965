// Sequential, LayerList and ParameterList.
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/activation.h>
#include <dygrad/layers/base/parameter_list.h>
#include <dygrad/layers/containers/layer_list.h>
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/flatten.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/linear.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
std::shared_ptr<Linear> times(double factor) {
  return make_layer<Linear>(
      {.input_dim = 1, .output_dim = 1, .param_attr = Constant{.value = factor}, .bias_attr = false});
}
std::vector<std::string> paths(Layer& layer) {
  std::vector<std::string> names;
  for (const auto& [name, child] : layer.named_children()) names.push_back(name);
  return names;
}
using Names = std::vector<std::string>;
}  // namespace

TEST_CASE("Sequential feeds each layer's output to the next", "[smoke]") {
  Sequential net{times(2), make_layer<ReLU>(), times(3)};
  CHECK(net(ones({1, 1})).item() == 6);
  CHECK(net(full({1, 1}, -1)).item() == 0);
  CHECK(paths(net) == Names{"0", "1", "2"});
  CHECK(net.state_dict().contains("2.weight"));
  CHECK(net.size() == 3);
}

TEST_CASE("an empty Sequential hands its input through") {
  Sequential net;
  CHECK(net.empty());
  CHECK(net(ones({1})).item() == 1);
}

TEST_CASE("Sequential is indexed by position, name and slice") {
  Sequential net{{"up", times(2)}, {"act", make_layer<ReLU>()}, {"down", times(3)}};
  CHECK(&net["down"] == &net[2]);
  CHECK(&net[-1] == &net[2]);
  CHECK(&net[0] == &net["up"]);
  Sequential tail = net.slice(1, 3);
  CHECK(tail(ones({1, 1})).item() == 3);
  CHECK(&tail[1] == &net[2]);
  CHECK_THROWS_MATCHES(net["left"], InvalidArgument, MessageContains("\"left\"", "up, act, down"));
  CHECK_THROWS_MATCHES(net[3], InvalidArgument, MessageContains("-3 <= position < 3", "got 3"));
}

TEST_CASE("containers grow and shrink, and rename by position") {
  Sequential net;
  Linear& first = net.append<Linear>({.input_dim = 1, .output_dim = 1});
  net.append<ReLU>();
  net.insert(0, make_layer<Flatten>());
  CHECK(&net[1] == &first);
  CHECK(paths(net) == Names{"0", "1", "2"});
  net.erase(0);
  CHECK(&net[0] == &first);
  net.append("last", times(1));
  net.set(-1, times(5));
  CHECK(paths(net) == Names{"0", "1", "last"});
  CHECK_THROWS_MATCHES(net.append("last", times(1)), InvalidArgument, MessageContains("\"last\" already"));
  CHECK_THROWS_AS(net.insert(0, nullptr), InvalidArgument);
  CHECK_THROWS_AS(net.erase(9), InvalidArgument);
}

TEST_CASE("modes reach the elements of a container") {
  Sequential net{times(1), std::make_shared<Sequential>(std::vector<LayerPtr>{times(2)})};
  net.eval();
  for (Layer& layer : net) CHECK(!layer.training());
}

TEST_CASE("LayerList holds layers but is no function") {
  LayerList blocks{times(2), times(3)};
  blocks.append(times(4));
  blocks.extend({times(5), times(6)});
  Tensor x = ones({1, 1});
  for (Layer& block : blocks) x = block(x);
  CHECK(x.item() == 720);
  CHECK(blocks.parameters().size() == 5);
  CHECK(blocks.slice(-2, 9).size() == 2);
  CHECK_THROWS_MATCHES(blocks(x), Error,
                       MessageContains("LayerList", "no forward of its own", "fix: call its elements"));
}

TEST_CASE("ParameterList names parameters by position") {
  ParameterList list{Parameter(ones({1})), Parameter(zeros({1}))};
  list.append(Parameter(full({1}, 5)));
  CHECK(list.size() == 3);
  CHECK(list[-1].item() == 5);
  list[0] = list[2];
  CHECK(list.parameters().size() == 2);
  CHECK(list.state_dict().contains("1"));
  CHECK_THROWS_AS(list[3], InvalidArgument);
}

TEST_CASE("numbers name positions only, so that no two parts have one name") {
  Sequential net;
  CHECK_THROWS_MATCHES(net.append("1", times(1)), InvalidArgument,
                       MessageContains("append: ", "\"1\" is a number", "expected a name", "fix"));
  CHECK_THROWS_AS(net.add_sublayer("7", times(1)), InvalidArgument);
  CHECK_THROWS_AS(net.add_parameter("0", Parameter(ones({1}))), InvalidArgument);
  CHECK_THROWS_AS((Sequential{{"0", times(1)}}), InvalidArgument);
  CHECK(net.empty());
  net.append("x1", times(1));
  net.append(times(2));
  net.extend({times(3), times(4)});
  net.insert(0, times(5));
  CHECK(paths(net) == Names{"0", "x1", "2", "3", "4"});
  CHECK(net.state_dict().size() == 5);
  CHECK(&net["2"] == &net[2]);
  CHECK_THROWS_AS(net["1"], InvalidArgument);
  net.erase(1);
  CHECK(paths(net) == Names{"0", "1", "2", "3"});
  net.append("x1", times(6));  // the name went with its layer
  CHECK(paths(net) == Names{"0", "1", "2", "3", "x1"});
  CHECK_THROWS_MATCHES(net["y"], InvalidArgument, MessageContains("names: 0, 1, 2, 3, x1"));

  ParameterList list{Parameter(ones({1}))};
  CHECK_THROWS_AS(list.add_parameter("1", Parameter(ones({1}))), InvalidArgument);
  list.append(Parameter(ones({1})));
  CHECK(list.size() == 2);
  Layer plain;
  plain.add_sublayer("7", times(1));  // has no positions
  CHECK(paths(plain) == Names{"7"});
}

namespace {
/// Looks after itself in every call.
struct Watched : Layer {
  explicit Watched(double factor) : factor_(factor) {}
  ~Watched() override { *alive_ = false; }
  Tensor forward(const Tensor& x) override {
    const std::shared_ptr<bool> alive = alive_;
    Tensor y = x * factor_;
    CHECK(*alive);
    return y;
  }
  std::shared_ptr<const bool> alive() const { return alive_; }

 private:
  double factor_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};
}  // namespace

TEST_CASE("a layer that its hook drops lives until its call ends") {
  for (const int kind : {0, 1, 2, 3}) {
    for (const bool before : {true, false}) {
      auto net = std::make_shared<Sequential>();
      const auto first = [&] {
        auto layer = std::make_shared<Watched>(2);
        net->append(layer);
        return layer->alive();
      }();
      net->append(std::make_shared<Watched>(3));
      const auto drop = [&] {
        if (!net) return;
        if (kind == 0) net->erase(0);
        if (kind == 1) net->set(0, make_layer<ReLU>());
        if (kind == 2) net->erase(-1);
        if (kind == 3) net.reset();
        CHECK(*first);
      };
      Layer& hooked = (*net)[0];
      if (before) {
        hooked.register_forward_pre_hook([&](Layer&, const Tensor&) {
          drop();
          return Tensor();
        });
      }
      hooked.register_forward_post_hook([&](Layer&, const Tensor&, const Tensor&) {
        if (!before) drop();
        CHECK(*first);
        return Tensor();
      });
      INFO(kind << before);
      CHECK((*net)(ones({1})).item() == 6);  // of the layers that there were when the call began
      CHECK(*first == (kind == 2));
    }
  }
}

TEST_CASE("a layer of a list lives until its call ends, and an error in it names it") {
  LayerList blocks{std::make_shared<Watched>(2)};
  const std::shared_ptr<const bool> alive = static_cast<Watched&>(blocks[0]).alive();
  blocks[0].register_forward_post_hook([&](Layer&, const Tensor&, const Tensor& y) {
    blocks.erase(0);
    CHECK(*alive);
    return y.reshape({7});
  });
  CHECK_THROWS_MATCHES(blocks[0](ones({1})), ShapeError, MessageContains("in layer watched_"));
  CHECK(!*alive);
  CHECK(blocks.empty());
}

TEST_CASE("apply visits every layer that there was when it began, whatever visits drop") {
  auto inner = std::make_shared<Sequential>();
  inner->append(std::make_shared<Watched>(2));
  inner->append(std::make_shared<Watched>(3));
  Sequential net;
  net.append(std::move(inner));
  int visits = 0;
  net.apply([&](Layer& layer) {
    if (!net.empty()) net.erase(0);
    CHECK(!layer.full_name().empty());
    if (auto* watched = dynamic_cast<Watched*>(&layer)) CHECK(*watched->alive());
    ++visits;
  });
  CHECK(visits == 4);
}

TEST_CASE("an element is found by its name of now, among many too") {
  for (const int many : {0, 40}) {
    Sequential net;
    for (int i = 0; i < many; ++i) net.append("layer" + std::to_string(i), times(1));
    net.append(times(2));
    net.append("last", times(3));
    const std::string position = std::to_string(many);
    CHECK(&net[position] == &net[many]);
    CHECK(&net["last"] == &net[-1]);
    net.set(-1, times(4));
    CHECK(&net["last"] == &net[-1]);
    net.insert(many, make_layer<ReLU>());
    CHECK(&net[position] == &net[many]);
    for (const std::string& name : {std::to_string(many + 2), "0" + position, position + " ", std::string()})
      CHECK_THROWS_AS(net[name], InvalidArgument);
    net.erase(-1);
    CHECK_THROWS_MATCHES(net["last"], InvalidArgument, MessageContains("there is no layer \"last\"", "names: "));
  }
  CHECK_THROWS_MATCHES(Sequential()["x"], InvalidArgument,
                       MessageContains("\"x\" in an empty container", "append layers first"));
}

TEST_CASE("containers of tens of thousands of parts are built and searched within seconds") {
  // A scan of all parts for each of them would be a thousand million steps.
  constexpr std::int64_t kMany = 40'000;
  const LayerPtr layer = make_layer<ReLU>();
  const Parameter parameter(ones({1}));
  Sequential named, front;
  ParameterList list;
  for (std::int64_t i = 0; i < kMany; ++i) {
    named.append("layer" + std::to_string(i), layer);
    list.append(parameter);
  }
  for (std::int64_t i = 0; i < 5'000; ++i) front.insert(0, layer);
  bool all_found = true;
  for (std::int64_t i = 0; i < kMany; ++i) {
    named.set(i, layer);
    all_found = all_found && &named["layer" + std::to_string(i)] == layer.get();
  }
  CHECK(all_found);
  CHECK(named.size() == kMany);
  CHECK(list.size() == kMany);
  CHECK(front.size() == 5'000);
}

TEST_CASE("errors of containers name the call that was made") {
  const LayerPtr none;
  Sequential net;
  CHECK_THROWS_MATCHES(net.append(none), InvalidArgument, MessageContains("append: the layer is null"));
  CHECK_THROWS_MATCHES(net.append("a", none), InvalidArgument, MessageContains("append: the layer \"a\" is null"));
  CHECK_THROWS_MATCHES(net.append("", times(1)), InvalidArgument,
                       MessageContains("append: the name must not be empty"));
  CHECK_THROWS_MATCHES(net.add_sublayer("", times(1)), InvalidArgument, MessageContains("add_sublayer: "));
  CHECK_THROWS_MATCHES(net.extend({none}), InvalidArgument, MessageContains("extend: "));
  CHECK_THROWS_MATCHES((Sequential{none}), InvalidArgument, MessageContains("Sequential: the layer is null"));
  CHECK_THROWS_MATCHES((Sequential{{"a", none}}), InvalidArgument,
                       MessageContains("Sequential: the layer \"a\" is null"));
  CHECK_THROWS_MATCHES(Sequential(std::vector<LayerPtr>{none}), InvalidArgument, MessageContains("Sequential: "));
  CHECK_THROWS_MATCHES((LayerList{none}), InvalidArgument, MessageContains("LayerList: the layer is null"));
  CHECK_THROWS_MATCHES(LayerList(std::vector<LayerPtr>{none}), InvalidArgument, MessageContains("LayerList: "));

  CHECK_THROWS_MATCHES(net[0], InvalidArgument, MessageContains("[]: ", "in an empty container", "append"));
  CHECK_THROWS_MATCHES(net.share(-1), InvalidArgument, MessageContains("share: ", "got -1 in an empty container"));
  net.append(times(1));
  CHECK_THROWS_MATCHES(net.insert(2, times(1)), InvalidArgument,
                       MessageContains("insert: ", "-1 <= position <= 1", "got 2"));
  CHECK_THROWS_MATCHES(net.insert(-2, times(1)), InvalidArgument, MessageContains("insert: ", "got -2"));
  CHECK_THROWS_MATCHES(net.set(1, times(1)), InvalidArgument, MessageContains("set: ", "-1 <= position < 1"));
  CHECK_THROWS_MATCHES(net.erase(1), InvalidArgument, MessageContains("erase: "));
  CHECK_THROWS_MATCHES(net.insert(0, none), InvalidArgument, MessageContains("insert: the layer is null"));
  net.insert(-1, times(2));
  CHECK(net.size() == 2);
}
