// What a pass leaves behind when something in it fails: an allocation, a hook, an op.
#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/live_graphs.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/support/fault_injection.h>

#include <optional>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

struct Failure : std::runtime_error {
  Failure() : std::runtime_error("thrown on purpose") {}
};

/// Counts down, and throws where it ends.
struct Fuse {
  int left = 0;  // 0: never
  void burn() {
    if (left > 0 && --left == 0) throw Failure();
  }
};

/// Passes x on; its forward and its vjp burn a fuse.
struct Burning {
  static constexpr std::string_view name = "burning";
  Fuse* fuse;
  Tensor forward(const Tensor& x) const {
    fuse->burn();
    return x * 1.;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    fuse->burn();
    return {g * 1.};
  }
};

using Values = std::vector<std::optional<std::vector<double>>>;

/// A small network with everything that a pass may meet, of which any step may fail.
struct Network {
  Fuse fuse;
  Tensor x, w, b, k;
  std::int64_t ready_calls = 0;

  Network() {
    Generator generator(3);
    const auto leaf = [&](const Shape& shape) {
      return normal(shape, 0, 1, {.dtype = float64, .generator = &generator}).set_stop_gradient(false);
    };
    x = leaf({2, 2, 4, 4}), w = leaf({8, 3}), b = leaf({3}), k = leaf({2, 2, 3, 3});
    (void)w.register_hook([this](const Tensor& g) {
      fuse.burn();
      return g * 2.;
    });
    (void)on_grad_ready(b, [this](const Tensor& g) {
      fuse.burn();
      ready_calls += g.defined();
    });
    (void)on_grad_ready(k, [this](const Tensor&) { fuse.burn(); });
  }
  ~Network() { clear(); }  // gradients with a graph would keep their leaves alive, and these them

  Tensor loss(Tensor* retained = nullptr) {
    const Tensor image = conv2d(x, k, {}, {.padding = 1});
    Tensor h = apply(Burning{&fuse}, tanh(image));
    (void)h.register_hook([this](const Tensor&) {
      fuse.burn();
      return Tensor();
    });
    if (retained) {
      h.retain_grad();
      *retained = h;
    }
    const Tensor parts[] = {h.reshape({8, 8}), exp(h).reshape({8, 8})};
    const Tensor y = matmul(concat(parts, 0), w) + b;
    return mean(y * y);
  }

  Values gradients() const {
    Values values;
    for (const Tensor& leaf : {x, w, b, k}) {
      if (leaf.grad().defined()) values.emplace_back(leaf.grad().to_vector<double>());
      else values.emplace_back();
    }
    return values;
  }
  void clear() {
    for (Tensor* leaf : {&x, &w, &b, &k}) leaf->clear_gradient();
  }
};

/// Weights are converted when they are used again, and the result is kept beside them.
void warm_up(Network& network) {
  for (int i = 0; i < 4; ++i) network.loss().backward({}, {.create_graph = true});
  network.clear();
}

}  // namespace

TEST_CASE("a pass in which an allocation fails changes no gradient, and another one gives the same bits") {
  for (const BackwardOptions options :
       {BackwardOptions{}, BackwardOptions{.retain_graph = true}, BackwardOptions{.create_graph = true}}) {
    for (const bool accumulates : {false, true}) {
      Network network;
      const auto prepare = [&] {
        network.clear();
        if (accumulates) network.loss().backward();
      };
      prepare();
      const Values before = network.gradients();
      network.loss().backward({}, options);
      const Values after = network.gradients();
      REQUIRE(before != after);

      warm_up(network);
      prepare();
      const std::int64_t nodes = Node::live_count(), bytes = allocator_statistics().live_bytes;
      Tensor loss, kept;
      const std::int64_t failures = for_each_failing_allocation(
          [&] {
            loss = network.loss(&kept);
            loss.backward({}, options);
          },
          [&](std::int64_t, bool threw) {
            REQUIRE(network.gradients() == (threw ? before : after));
            if (threw && kept.defined()) REQUIRE_FALSE(kept.grad().defined());
            if (threw && options.retain_graph && loss.defined()) {
              loss.backward({}, options);  // the graph is whole still
              REQUIRE(network.gradients() == after);
            }
            if (kept.defined()) kept.clear_gradient();  // which may have a graph that leads back to it
            loss = kept = Tensor();
            prepare();
            REQUIRE(Node::live_count() == nodes);
            REQUIRE(allocator_statistics().live_bytes == bytes);
          });
      CHECK(failures > 50);
      CHECK(network.gradients() == after);
      kept.clear_gradient();
      network.clear();
    }
  }
}

TEST_CASE("a second derivative in which an allocation fails leaves everything as it was") {
  Network network;
  const auto run = [&] {
    const Tensor inputs[] = {network.x, network.w}, outputs[] = {network.loss()};
    const std::vector<Tensor> first = grad(outputs, inputs, {.create_graph = true});
    (sum(first[0] * first[0]) + sum(first[1] * first[1])).backward();
  };
  run();
  const Values after = network.gradients();
  warm_up(network);
  const std::int64_t nodes = Node::live_count(), bytes = allocator_statistics().live_bytes;
  const std::int64_t failures = for_each_failing_allocation(run, [&](std::int64_t, bool threw) {
    REQUIRE(network.gradients() == (threw ? Values(4) : after));
    network.clear();
    REQUIRE(Node::live_count() == nodes);
    REQUIRE(allocator_statistics().live_bytes == bytes);
  });
  CHECK(failures > 100);
  CHECK(network.gradients() == after);
}

TEST_CASE("hooks and ops that throw, at every place, change no gradient; a retained graph can be run again") {
  for (const BackwardOptions options :
       {BackwardOptions{}, BackwardOptions{.retain_graph = true}, BackwardOptions{.create_graph = true}}) {
    Network network;
    network.loss().backward();
    const Values before = network.gradients();
    network.loss().backward({}, options);
    const Values after = network.gradients();

    const auto prepare = [&] {
      network.clear();
      network.loss().backward();
    };
    warm_up(network);
    prepare();
    const std::int64_t nodes = Node::live_count(), bytes = allocator_statistics().live_bytes;
    int thrown = 0;
    for (int place = 1;; ++place) {
      Tensor kept, loss;
      network.fuse.left = place;
      try {
        loss = network.loss(&kept);
        loss.backward({}, options);
        network.fuse.left = 0;
        kept.clear_gradient();
        break;
      } catch (const Failure&) {
        ++thrown;
      }
      REQUIRE(network.gradients() == before);
      if (loss.defined()) {
        CHECK_FALSE(kept.grad().defined());
        if (options.retain_graph || options.create_graph) {
          loss.backward({}, options);
          REQUIRE(network.gradients() == after);
        } else {
          CHECK_THROWS_AS(loss.backward(), GraphError);
          REQUIRE(network.gradients() == before);
        }
      }
      if (kept.defined()) kept.clear_gradient();
      loss = kept = Tensor();
      prepare();
      REQUIRE(Node::live_count() == nodes);
      REQUIRE(allocator_statistics().live_bytes == bytes);
    }
    CHECK(thrown == 6);  // forward and vjp of the op, and four hooks
    CHECK(network.gradients() == after);
    network.clear();
  }
}

TEST_CASE("grad in which a hook or an op throws changes no stored gradient and returns none") {
  Network network;
  network.loss().backward();
  const Values before = network.gradients();
  for (const bool create_graph : {false, true}) {
    const Tensor loss = network.loss();
    const Tensor inputs[] = {network.x, network.w, network.k}, outputs[] = {loss};
    network.fuse.left = 2;
    CHECK_THROWS_AS(grad(outputs, inputs, {.retain_graph = true, .create_graph = create_graph}), Failure);
    network.fuse.left = 0;
    CHECK(network.gradients() == before);
    CHECK(grad(outputs, inputs).size() == 3);
    CHECK(network.gradients() == before);
  }
}

TEST_CASE("a grad-ready hook sees the stored gradient, which goes back if the pass fails later") {
  const Tensor early = full({1}, 2, float64).set_stop_gradient(false),
               late = full({1}, 3, float64).set_stop_gradient(false);
  Fuse fuse;
  (late * early).backward();
  std::vector<double> seen;
  (void)on_grad_ready(early, [&](const Tensor& g) {
    seen.push_back(g.item());
    seen.push_back(early.grad().item());
  });
  const auto run = [&] { (apply(Burning{&fuse}, late) * early).backward(); };
  fuse.left = 2;
  CHECK_THROWS_AS(run(), Failure);
  CHECK(seen == std::vector<double>{6, 6});
  CHECK(early.grad().item() == 3);
  fuse.left = 0;
  run();
  CHECK(early.grad().item() == 6);
  CHECK(late.grad().item() == 4);
}

TEST_CASE("what a grad-ready hook made of its gradient stays, though the pass fails later") {
  Tensor early = full({1}, 2, float64).set_stop_gradient(false);
  const Tensor late = full({1}, 3, float64).set_stop_gradient(false);
  (void)on_grad_ready(early, [&](const Tensor&) { early.clear_gradient(); });
  early.set_grad(full({1}, 10, float64));
  Fuse fuse{.left = 2};
  CHECK_THROWS_AS((apply(Burning{&fuse}, late) * early).backward(), Failure);
  CHECK_FALSE(early.grad().defined());
}

TEST_CASE("a retained gradient goes back to the earlier one if the pass fails later") {
  const Tensor x = full({1}, 3, float64).set_stop_gradient(false);
  Fuse fuse;
  Tensor h = apply(Burning{&fuse}, x);
  h.retain_grad();
  const Tensor y = h * h;
  y.backward({}, {.retain_graph = true});
  CHECK(h.grad().item() == 6);
  fuse.left = 1;
  CHECK_THROWS_AS(y.backward(full({1}, 5, float64), {.retain_graph = true}), Failure);
  CHECK(h.grad().item() == 6);
  CHECK(x.grad().item() == 6);
}

TEST_CASE("hooks, handles and modes are made whole or not at all when memory is short") {
  const Tensor x = full({1}, 3, float64).set_stop_gradient(false);
  Tensor h = x * 2.;
  int calls = 0;
  HookHandle handle;
  // The first sweep leaves the list of hooks made: the second one reaches the allocations after it.
  for (int sweep = 0; sweep < 2; ++sweep) {
    CHECK(
        for_each_failing_allocation([&] { handle = h.register_hook([&](const Tensor&) { return ++calls, Tensor(); }); },
                                    [&](std::int64_t, bool threw) {
                                      calls = 0;
                                      h.backward({}, {.retain_graph = true});
                                      REQUIRE(calls == (threw ? 0 : 1));
                                    }) > 0);
    handle.remove();
  }
  calls = 0;
  h.backward({}, {.retain_graph = true});
  CHECK(calls == 0);
  CHECK(for_each_failing_allocation([&] { h.retain_grad(); }, [](std::int64_t, bool) {}) >= 0);
}

TEST_CASE("recording in anomaly mode under a failing allocation loses nothing") {
  const Tensor x = full({1}, 3, float64).set_stop_gradient(false);
  const std::int64_t nodes = Node::live_count();
  const AnomalyMode anomaly;
  CHECK(for_each_failing_allocation([&] { (void)exp(x * x); },
                                    [&](std::int64_t, bool) {
                                      REQUIRE(Node::live_count() == nodes);
                                      REQUIRE(live_graphs().tracked_nodes == 0);
                                    }) > 0);
}

TEST_CASE("a label of anomaly mode that there is no memory for is OutOfMemory, and is not shown") {
  const AnomalyMode anomaly;
  const std::string label(100, 'x');
  CHECK(for_each_failing_allocation([&] { const RecordScope scope(label); }, [](std::int64_t, bool) {}) > 0);
}
