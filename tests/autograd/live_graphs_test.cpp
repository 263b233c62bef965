#include <dygrad/autograd/live_graphs.h>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/fault_injection.h>

#include <optional>

#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Tensor variable() { return full({3}, 2, float64).set_stop_gradient(false); }
}  // namespace

TEST_CASE("live graphs are listed by op, with bytes and the place of recording, while they live") {
  const Tensor x = variable();
  Tensor y;
  {
    const TrackGraphs tracking;
    const RecordScope scope("encoder");
    y = exp(x) * x * x;
  }
  const Tensor unlisted = y * 2.;
  const LiveGraphs live = live_graphs();
  CHECK(live.tracked_nodes == 3);
  CHECK(live.nodes == Node::live_count());
  CHECK(live.saved_bytes == 5 * 24);  // an output, and both factors of two products
  std::int64_t muls = 0;
  for (const LiveGraphs::Op& op : live.ops) {
    if (op.name == "mul") muls += op.nodes;
    CHECK_THAT(op.origin, StartsWith("in encoder"));
  }
  CHECK(muls == 2);
  CHECK_THAT(live.text(), ContainsSubstring("exp") && ContainsSubstring("encoder") && ContainsSubstring("3"));
  y.backward();
  CHECK(live_graphs().saved_bytes == 0);
  y = Tensor();
  CHECK(live_graphs().tracked_nodes == 3);  // `unlisted` keeps them
}

TEST_CASE("without tracking nothing is listed; anomaly mode lists too") {
  const Tensor x = variable();
  const Tensor plain = x * x;
  CHECK(live_graphs().tracked_nodes == 0);
  const AnomalyMode anomaly;
  const Tensor y = x * x;
  CHECK(live_graphs().tracked_nodes == 1);
}

TEST_CASE("cycles of the three kinds show as suspects, and are gone when they are cut") {
  const std::int64_t nodes = Node::live_count();
  std::optional<HookHandle> hook;
  Tensor leaf = variable();
  {
    const TrackGraphs tracking;
    const Tensor y = sum(leaf * leaf * leaf);
    y.backward({}, {.create_graph = true});
    const Tensor h = exp(leaf);
    hook = h.register_hook([h](const Tensor& g) { return g * h.detach(); });
  }
  CHECK(live_graphs().tracked_nodes > 0);
  CHECK(live_graphs().suspects.size() == 2);
  CHECK_THAT(live_graphs().text(), ContainsSubstring("leaf -> [3] holds a gradient with a graph") &&
                                       ContainsSubstring("exp -> [3] has hooks"));
  leaf.clear_gradient();
  hook->remove();
  CHECK(live_graphs().tracked_nodes == 0);
  {
    const TrackGraphs tracking;
    leaf.set_grad(leaf * leaf);
  }
  CHECK(live_graphs().suspects.size() == 1);
  leaf.set_grad({});
  CHECK(live_graphs().tracked_nodes == 0);
  CHECK(live_graphs().suspects.empty());
  CHECK(Node::live_count() == nodes + 1);
}

TEST_CASE("listing live graphs without memory is OutOfMemory") {
  const TrackGraphs tracking;
  const Tensor y = exp(variable());
  const auto ignored = [](std::int64_t, bool) {};
  CHECK(for_each_failing_allocation([] { (void)live_graphs(); }, ignored) > 0);
  const LiveGraphs live = live_graphs();
  CHECK(for_each_failing_allocation([&] { (void)live.text(); }, ignored) > 0);
}
