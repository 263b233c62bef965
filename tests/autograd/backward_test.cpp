#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/support/catch.h>

#include <set>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

Tensor variable(const NestedList& values, DType dtype = float64) {
  return tensor(values, dtype).set_stop_gradient(false);
}

struct Same {
  static constexpr std::string_view name = "same";
  Tensor forward(const Tensor& x) const { return x; }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g * 2.}; }
};

struct Wrong {
  static constexpr std::string_view name = "wrong";
  DType dtype;
  Tensor forward(const Tensor& x) const { return x * 1.; }
  Grads<1> vjp(const Tensor&, const Saved&, NeedsGrad) const { return {ones({7}, dtype)}; }
};

struct Blocks {
  static constexpr std::string_view name = "blocks";
  Tensor forward(const Tensor& a, const Tensor& b) const { return a + b; }
  Grads<2> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {Tensor(), g}; }
};

/// Its gradient lies in the caller's memory.
struct Lends {
  static constexpr std::string_view name = "lends";
  std::vector<double>* numbers;
  Tensor forward(const Tensor& x) const { return x * 1.; }
  Grads<1> vjp(const Tensor&, const Saved&, NeedsGrad) const { return {from_memory(numbers->data(), {2}, float64)}; }
};

struct Throws {
  static constexpr std::string_view name = "throws";
  Tensor forward(const Tensor& x) const { return x * 1.; }
  Grads<1> vjp(const Tensor&, const Saved&, NeedsGrad) const { throw std::runtime_error("vjp failed"); }
};

}  // namespace

TEST_CASE("backward accumulates the chain rule into leaves") {
  const Tensor x = variable({1., 2., 3.});
  const Tensor w = variable({4., 5., 6.});
  sum(x * w * x).backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{8, 20, 36});
  CHECK(w.grad().to_vector<double>() == std::vector<double>{1, 4, 9});
}

TEST_CASE("backward starts with ones from a tensor of any shape, or with the gradient given") {
  Tensor x = variable({{1., 2.}, {3., 4.}});
  (x * 3.).backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 3, 3, 3});
  x.clear_gradient();
  (x * 3.).backward(tensor({{1., 0.}, {2., -1.}}, float64));
  CHECK(x.grad().to_vector<double>() == std::vector<double>{3, 0, 6, -3});
}

TEST_CASE("gradients of leaves accumulate over passes until they are cleared") {
  Tensor x = variable({2.});
  for (int i = 1; i <= 3; ++i) {
    (x * x).backward();
    CHECK(x.grad().item() == 4 * i);
  }
  x.clear_gradient(/*set_to_zero=*/true);
  CHECK(x.grad().item() == 0);
  (x * x).backward();
  CHECK(x.grad().item() == 4);
  x.clear_gradient();
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a retained graph can be run again, and its gradients add up") {
  const Tensor x = variable({3.});
  const Tensor y = x * x * x;
  for (int i = 1; i <= 3; ++i) {
    y.backward({}, {.retain_graph = true});
    CHECK(x.grad().item() == 27 * i);
  }
}

TEST_CASE("a second backward without retain_graph is an error that says what to do") {
  const Tensor x = variable({3.});
  const Tensor y = x * x;
  y.backward();
  CHECK_THROWS_MATCHES(y.backward(), GraphError, MessageContains("already freed", "mul", "retain_graph = true"));
  CHECK(x.grad().item() == 6);
}

TEST_CASE("backward from a tensor that stops gradients does nothing") {
  const Tensor x = tensor({1., 2.}, float64);
  CHECK_NOTHROW(sum(x * x).backward());
  CHECK_FALSE(x.grad().defined());
  Tensor undefined;
  CHECK_THROWS_AS(undefined.backward(), InvalidArgument);
}

TEST_CASE("the starting gradient must have the root's shape and dtype, and nothing happens otherwise") {
  const Tensor x = variable({1., 2.});
  const Tensor y = x * x;
  CHECK_THROWS_MATCHES(y.backward(ones({3}, float64)), ShapeError,
                       MessageContains("backward", "expected [2]", "got [3]"));
  CHECK_THROWS_MATCHES(y.backward(ones({2}, float32)), DtypeError, MessageContains("expected float64", "got float32"));
  CHECK_FALSE(x.grad().defined());
  y.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{2, 4});
}

TEST_CASE("stop_gradient prunes exactly the branch behind it") {
  const Tensor x = variable({2.});
  const Tensor w = variable({5.});
  Tensor hidden = x * w;
  hidden.set_stop_gradient(true);
  const Tensor y = hidden * w + x;
  y.backward();
  CHECK(x.grad().item() == 1);
  CHECK(w.grad().item() == 10);
  CHECK(y.stop_gradient() == false);
  CHECK((hidden * 2.).stop_gradient());
}

TEST_CASE("a leaf frozen for a while keeps its stored gradient and gets none meanwhile") {
  Tensor x = variable({2.});
  const Tensor w = variable({5.});
  (x * w).backward();
  x.set_stop_gradient(true);
  (x * w).backward();
  x.set_stop_gradient(false);
  CHECK(x.grad().item() == 5);
  CHECK(w.grad().item() == 4);
}

TEST_CASE("only floating-point tensors can ask for gradients") {
  Tensor labels = tensor({1, 2, 3});
  CHECK_THROWS_MATCHES(labels.set_stop_gradient(false), DtypeError, MessageContains("int64"));
}

TEST_CASE("intermediates keep their gradient only on request") {
  const Tensor x = variable({3.});
  Tensor y = x * x;
  Tensor z = y * 2.;
  y.retain_grad();
  (z * z).backward();
  CHECK(y.grad().item() == 8 * 9);
  CHECK_FALSE(z.grad().defined());
  CHECK_FALSE(y.is_leaf());
  CHECK(x.is_leaf());
}

TEST_CASE("detach shares values and version but leaves the graph") {
  Tensor x = variable({3.});
  Tensor y = x.detach();
  CHECK(y.stop_gradient());
  y.fill(7);
  CHECK(x.item() == 7);
  CHECK(x.version() == y.version());
}

TEST_CASE("NoGrad records nothing, EnableGrad records inside it, and both restore on exceptions") {
  const Tensor x = variable({3.});
  {
    const NoGrad no_grad;
    CHECK((x * x).stop_gradient());
    {
      const EnableGrad again;
      CHECK_FALSE((x * x).stop_gradient());
    }
    CHECK_FALSE(is_grad_enabled());
  }
  try {
    const NoGrad no_grad;
    throw std::runtime_error("leave");
  } catch (const std::runtime_error&) {
  }
  CHECK(is_grad_enabled());
  CHECK_FALSE(x.stop_gradient());
}

TEST_CASE("an in-place change of a saved value is noticed, and the op named") {
  Tensor x = variable({3.});
  Tensor w = variable({2.});
  const Tensor y = x * w;
  {
    const NoGrad no_grad;
    w.fill(9);
  }
  CHECK_THROWS_MATCHES(y.backward(), GraphError, MessageContains("changed in place", "mul", "clone()"));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("a sum of ten uses of one leaf adds ten gradients") {
  const Tensor x = variable({1., 1.});
  Tensor total = x * 1.;
  for (int i = 2; i <= 10; ++i) total = total + x * static_cast<double>(i);
  total.backward();
  CHECK(x.grad().to_vector<double>() == std::vector<double>{55, 55});
}

TEST_CASE("gradients that share memory are not added into each other") {
  // add hands the same tensor to both inputs; expand hands on memory in which all elements are one.
  const Tensor a = variable({1., 2.});
  const Tensor b = variable({3., 4.});
  const Tensor s = a + b;
  (s + a).backward(tensor({1., 10.}, float64));
  CHECK(a.grad().to_vector<double>() == std::vector<double>{2, 20});
  CHECK(b.grad().to_vector<double>() == std::vector<double>{1, 10});
  const Tensor c = variable({1., 2., 3.});
  (sum(c) + sum(c * c)).backward();
  CHECK(c.grad().to_vector<double>() == std::vector<double>{3, 5, 7});
  const Tensor seed = ones({3}, float64);
  const Tensor d = variable({1., 2., 3.});
  d.backward(seed);
  d.backward(seed);
  CHECK(d.grad().to_vector<double>() == std::vector<double>{2, 2, 2});
  CHECK(seed.to_vector<double>() == std::vector<double>{1, 1, 1});
}

TEST_CASE("only a gradient that nobody else sees is written over") {
  Tensor x = variable({-1., 2.});
  const Tensor seed = tensor({3., 5.}, float64);
  relu(x).backward(seed);
  CHECK(seed.to_vector<double>() == std::vector<double>{3, 5});
  CHECK(x.grad().to_vector<double>() == std::vector<double>{0, 5});

  std::vector<double> numbers{3, 5};
  apply(Lends{&numbers}, relu(x)).backward();
  CHECK(numbers == std::vector<double>{3, 5});

  Tensor h = relu(x * 1.), seen;
  h.retain_grad();
  h.register_hook([&](const Tensor& g) {
    seen = g;
    return Tensor();
  });
  sum(h * h).backward();
  CHECK(h.grad().to_vector<double>() == std::vector<double>{0, 4});
  CHECK(seen.to_vector<double>() == std::vector<double>{0, 4});

  const Tensor both = x * 1.;  // add gives one gradient to two activations
  x.clear_gradient();
  (relu(both) + leaky_relu(both, 0.5)).backward(seed);
  CHECK(x.grad().to_vector<double>() == std::vector<double>{1.5, 10});
}

TEST_CASE("a chain of activations passes its gradient on in one place") {
  std::set<const double*> places;
  Tensor y = variable({1., 2., 3.}) * 1.;
  for (int i = 0; i < 5; ++i) {
    y = tanh(y);
    y.register_hook([&](const Tensor& g) {
      places.insert(g.data<double>());
      return Tensor();
    });
  }
  (y * 2.).backward();
  CHECK(places.size() == 1);
}

TEST_CASE("a gradient the caller keeps is not changed by later passes") {
  const Tensor x = variable({2.});
  (x * x).backward();
  const Tensor kept = x.grad();
  (x * x).backward();
  CHECK(kept.item() == 4);
  CHECK(x.grad().item() == 8);
}

TEST_CASE("several roots run in one pass") {
  const Tensor x = variable({2.});
  const Tensor h = x * x;
  const Tensor roots[] = {h * 3., h * h};
  backward(roots);
  CHECK(x.grad().item() == 3 * 4 + 2 * 4 * 4);
}

TEST_CASE("an op that hands its input through gets a graph of its own") {
  const Tensor x = variable({2.});
  const Tensor y = apply(Same{}, x);
  CHECK_FALSE(y.is_same(x));
  y.backward();
  CHECK(x.grad().item() == 2);
  const NoGrad no_grad;
  CHECK(apply(Same{}, x).stop_gradient());
}

TEST_CASE("a vjp that returns a wrong shape or dtype is named") {
  const Tensor x = variable({2.});
  CHECK_THROWS_MATCHES(apply(Wrong{float64}, x).backward(), ShapeError,
                       MessageContains("wrong", "expected [1]", "got [7]"));
  const Tensor seven = ones({7}, float64).set_stop_gradient(false);
  CHECK_THROWS_MATCHES(apply(Wrong{float32}, seven).backward(), DtypeError,
                       MessageContains("wrong", "expected float64", "got float32"));
}

TEST_CASE("an undefined gradient means zero and leaves unreached leaves alone") {
  const Tensor a = variable({1.});
  const Tensor b = variable({1.});
  apply(Blocks{}, a * 2., b * 2.).backward();
  CHECK_FALSE(a.grad().defined());
  CHECK(b.grad().item() == 2);
}

TEST_CASE("after an exception all gradients are as before, and the graph counts as freed") {
  const Tensor x = variable({2.});
  const Tensor w = variable({3.});
  (w * 7.).backward();
  const Tensor y = apply(Throws{}, x * x) + w;
  CHECK_THROWS_WITH(y.backward(), "vjp failed");
  CHECK_FALSE(x.grad().defined());
  CHECK(w.grad().item() == 7);
  CHECK_THROWS_AS(y.backward(), GraphError);
}

TEST_CASE("graphs, values and gradients are all gone when their last handle is") {
  const std::int64_t nodes = Node::live_count();
  const std::int64_t bytes = allocator_statistics().live_bytes;
  {
    const Tensor x = variable({1., 2., 3.});
    const Tensor y = exp(x * x) / sqrt(x);  // exp and sqrt differentiate through their outputs
    sum(y).backward({}, {.retain_graph = true});
    const Tensor first = grad(sum(y), x, {.create_graph = true});
    (void)grad(sum(first * first), x, {.create_graph = true});
  }
  CHECK(Node::live_count() == nodes);
  CHECK(allocator_statistics().live_bytes == bytes);
}

TEST_CASE("an input that no output depends on is noticed before the graph is freed") {
  const Tensor x = variable({2.}), other = variable({3.});
  const Tensor y = x * x;
  const Tensor outputs[] = {y}, inputs[] = {x, other};
  CHECK_THROWS_MATCHES(grad(outputs, inputs), GraphError, MessageContains("no output depends on inputs[1]"));
  CHECK(grad(y, x).item() == 4);
}

TEST_CASE("a changed value is noticed before the node gives any away") {
  Tensor x = variable({3.});
  const Tensor w = variable({2.});
  const Tensor y = x * w;
  {
    const NoGrad no_grad;
    x.fill(9);
  }
  CHECK_THROWS_AS(y.backward({}, {.retain_graph = true}), GraphError);
  CHECK_THROWS_MATCHES(y.backward({}, {.retain_graph = true}), GraphError, MessageContains("changed in place"));
}

TEST_CASE("saved values go as soon as they were used") {
  const Tensor x = variable({1.});
  const std::int64_t before = allocator_statistics().live_bytes;
  Tensor y = x * x;
  for (int i = 0; i < 100; ++i) y = y * y;
  const std::int64_t recorded = allocator_statistics().live_bytes;
  y.backward();
  CHECK(recorded - before > 90 * 64);
  CHECK(allocator_statistics().live_bytes - before < 10 * 1024);
}

TEST_CASE("a chain of a million ops records, runs and frees", "[slow]") {
  const std::int64_t nodes = Node::live_count();
  {
    const Tensor x = variable({1.});
    Tensor y = x * 1.;
    for (int i = 1; i < 1'000'000; ++i) y = y + 1.;
    CHECK(Node::live_count() == nodes + 1'000'001);
    y.backward();
    CHECK(x.grad().item() == 1);
    CHECK(y.item() == 1'000'000);
  }
  CHECK(Node::live_count() == nodes);
}

TEST_CASE("a long chain that is never run frees without recursion", "[slow]") {
  const std::int64_t nodes = Node::live_count();
  {
    const Tensor x = variable({1.});
    Tensor y = x * x;
    for (int i = 1; i < 1'000'000; ++i) y = y * x;
  }
  CHECK(Node::live_count() == nodes);
}

TEST_CASE("stored gradients have memory of their own") {
  const Tensor x = variable({1., 2.});
  Tensor y = x * 1., z = x * 1.;
  y.retain_grad();
  z.retain_grad();
  (y + z).sum().backward();
  Tensor of_y = y.grad();
  of_y.fill(9);
  CHECK(z.grad().to_vector<double>() == std::vector<double>{1, 1});

  for (const bool create_graph : {false, true}) {
    Tensor leaf = variable({1., 2.}), seed = tensor({3., 4.}, float64);
    leaf.backward(seed, {.create_graph = create_graph});
    seed.fill(9);
    CHECK(leaf.grad().to_vector<double>() == std::vector<double>{3, 4});
    leaf.clear_gradient();
  }
}

TEST_CASE("a retained gradient is that of the newest backward, while a leaf's adds up") {
  const Tensor x = variable({3.});
  Tensor h = x * 2.;
  h.retain_grad();
  const Tensor y = h * h;
  y.backward({}, {.retain_graph = true});
  y.backward({}, {.retain_graph = true});
  CHECK(h.grad().item() == 12);
  CHECK(x.grad().item() == 48);
}

namespace {
struct WrongCount {
  static constexpr std::string_view name = "wrong_count";
  std::size_t count;
  Tensor forward(std::span<const Tensor> x) const { return sum(x[0] * x[1]); }
  std::vector<Tensor> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return std::vector<Tensor>(count, g); }
};
struct NoOutput {
  static constexpr std::string_view name = "no_output";
  Tensor forward(const Tensor&) const { return {}; }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};
struct NoOutputOfMany {
  static constexpr std::string_view name = "no_output_of_many";
  Tensor forward(std::span<const Tensor>) const { return {}; }
  std::vector<Tensor> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};
}  // namespace

TEST_CASE("an op that gives another number of gradients than it has inputs is named") {
  const std::vector<Tensor> inputs{variable({1.}), variable({2.})};
  for (const std::size_t count : {0, 1, 3, 1000}) {
    CHECK_THROWS_MATCHES(apply(WrongCount{count}, std::span<const Tensor>(inputs)).backward(), InvalidArgument,
                         MessageContains("wrong_count", "expected 2", "got " + std::to_string(count)));
    CHECK_FALSE(inputs[0].grad().defined());
  }
}

TEST_CASE("an op that gives no output is named, recorded or not") {
  for (const bool recorded : {false, true}) {
    const SetGradEnabled mode(recorded);
    const Tensor inputs[] = {variable({1.})};
    CHECK_THROWS_MATCHES(apply(NoOutput{}, inputs[0]), InvalidArgument, MessageContains("no_output", "undefined"));
    CHECK_THROWS_MATCHES(apply(NoOutputOfMany{}, std::span<const Tensor>(inputs)), InvalidArgument,
                         MessageContains("no_output_of_many", "undefined"));
  }
}

namespace {
/// The sum of a list, which keeps every third input and uses it.
struct EveryThird {
  static constexpr std::string_view name = "every_third";
  Tensor forward(std::span<const Tensor> inputs) const {
    Tensor total = inputs[0];
    for (const Tensor& input : inputs.subspan(1)) total = total + input;
    return total;
  }
  static SaveForBackward save_for_backward(NeedsGrad) {
    SaveForBackward all = save_output();
    for (std::size_t i = 0; i < 100; i += 3) all = all | save_input(i);
    return all;
  }
  std::vector<Tensor> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    std::vector<Tensor> grads(100, g);
    for (std::size_t i = 0; i < 100; i += 3) grads[i] = g * saved[i];
    return grads;
  }
};
}  // namespace

TEST_CASE("an op can keep any of its inputs, however many there are, and its output") {
  std::vector<Tensor> inputs;
  for (int i = 0; i < 100; ++i) inputs.push_back(full({1}, i, float64).set_stop_gradient(false));
  const Tensor y = apply(EveryThird{}, std::span<const Tensor>(inputs));
  CHECK(y.item() == 4950);
  y.backward();
  for (int i = 0; i < 100; ++i) CHECK(inputs[static_cast<std::size_t>(i)].grad().item() == (i % 3 == 0 ? i : 1));
}

TEST_CASE("sets of inputs to keep know their members, below and above 64") {
  const SaveForBackward set =
      save_input(31) | save_input(63) | save_input(64, false) | save_input(200) | save_input(65);
  for (std::size_t i = 0; i < 300; ++i) CHECK(set.input(i) == (i == 31 || i == 63 || i == 65 || i == 200));
  CHECK_FALSE(set.output());
  CHECK((set | save_output()).output());
  CHECK(set.is_within(201));
  CHECK_FALSE(set.is_within(200));
  CHECK(save_input(63).is_within(64));
  CHECK_FALSE(save_input(63).is_within(63));
  CHECK(save_output().is_within(0));
}

namespace {
/// x^2 with a slip that `slip` chooses.
struct Slipping {
  enum Slip { none, saves_another, saved_beyond, need_beyond, not_saved, output_not_saved };
  static inline Slip slip = none;
  static constexpr std::string_view name = "slipping";
  Tensor forward(const Tensor& x) const { return x * x; }
  static SaveForBackward save_for_backward(NeedsGrad) {
    return slip == saves_another ? save_input(1) : save_input(0, slip != not_saved);
  }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const {
    if (slip == saved_beyond) return {g * saved[1]};
    if (slip == need_beyond && need[1]) return {};
    if (slip == output_not_saved) return {g * saved.output()};
    return {g * saved[0] * 2.};
  }
};
}  // namespace

TEST_CASE("an op whose vjp looks at an input that it has not, or did not save, is named") {
  const Tensor x = variable({3.});
  Slipping::slip = Slipping::saves_another;
  CHECK_THROWS_MATCHES(apply(Slipping{}, x), InvalidArgument,
                       MessageContains("slipping", "save_for_backward", "below 1", "got 1"));
  const auto check_vjp = [&](Slipping::Slip slip, const auto& says) {
    Slipping::slip = slip;
    CHECK_THROWS_MATCHES(apply(Slipping{}, x).backward(), InvalidArgument, says);
  };
  check_vjp(Slipping::saved_beyond, MessageContains("slipping", "saved[i]", "below 1", "got 1"));
  check_vjp(Slipping::need_beyond, MessageContains("slipping", "need[i]", "below 1", "got 1"));
  check_vjp(Slipping::not_saved, MessageContains("slipping", "saved[0]", "save_input(0)", "save_for_backward"));
  check_vjp(Slipping::output_not_saved, MessageContains("slipping", "saved.output()", "save_output()"));
  Slipping::slip = Slipping::none;
  apply(Slipping{}, x).backward();
  CHECK(x.grad().item() == 6);
}

namespace {
/// x sigmoid(x), whose forward keeps a tensor in the struct.
struct Gate {
  static constexpr std::string_view name = "gate";
  bool* was_enabled;
  Tensor s;
  Tensor forward(const Tensor& x) {
    *was_enabled = is_grad_enabled();
    s = sigmoid(x);
    return x * s;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g * s}; }
};

struct Throwing {
  static constexpr std::string_view name = "throwing";
  Tensor forward(const Tensor&) const { throw std::runtime_error("forward"); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};
}  // namespace

TEST_CASE("forward runs without recording, and what it was before is restored, also on exceptions") {
  const Tensor x = variable({2.});
  bool was_enabled = true;
  Tensor y = apply(Gate{&was_enabled, {}}, x);
  CHECK_FALSE(was_enabled);
  CHECK(is_grad_enabled());
  CHECK_FALSE(y.stop_gradient());
  const std::int64_t nodes = Node::live_count();
  y.backward();
  y = Tensor();
  CHECK(Node::live_count() == nodes - 1);  // the op's own, and none that its struct held
  CHECK_THROWS_AS(apply(Throwing{}, x), std::runtime_error);
  CHECK(is_grad_enabled());
  const NoGrad no_grad;
  CHECK(apply(Gate{&was_enabled, {}}, x).stop_gradient());
  CHECK_FALSE(is_grad_enabled());
}

TEST_CASE("apply takes what derives from Tensor") {
  struct Named : Tensor {
    using Tensor::Tensor;
    explicit Named(const Tensor& value) : Tensor(value) {}
    std::string label;
  };
  bool was_enabled = true;
  const Named x(variable({0.}));
  apply(Gate{&was_enabled, {}}, x).backward();
  CHECK(x.grad().item() == 0.5);
}

TEST_CASE("errors of saved values name the leaf, the pass and the ways out") {
  Tensor x = variable({3.});
  const Tensor w = variable({2.});
  static_cast<LeafNode*>(gradient_node(x))->label = "linear_0.w_0";
  const Tensor y = x * w;
  {
    const NoGrad no_grad;
    x.fill(9);
  }
  CHECK_THROWS_MATCHES(
      y.backward({}, {.retain_graph = true}), GraphError,
      MessageContains("backward: ", "op mul, its inputs[0] [1]", "leaf \"linear_0.w_0\"", "optimizer"));
  CHECK_THROWS_MATCHES(grad(y, w), GraphError, MessageContains("grad: ", "changed in place", "run grad before"));
  const Tensor z = w * w;
  z.backward();
  CHECK_THROWS_MATCHES(grad(z, w), GraphError,
                       MessageContains("grad: ", "already freed", "retain_graph = true", "detach()"));
}
