#include <dygrad/autograd/live_graphs.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <unordered_set>

#include <dygrad/autograd/node.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {

/// Nodes recorded while somebody was looking. A node is in it until its destruction begins, so its members can be
/// called under the lock; no handle may be dropped there, since that might destroy nodes.
struct Listed {
  std::mutex mutex;
  std::unordered_set<const Node*> nodes;
};
Listed& listed() {
  static Listed& instance = *new Listed;  // see Note [Static destruction] in core/base/detail/per_thread.h
  return instance;
}

/// The stored gradient of a leaf, or the retained one of another node.
bool gradient_has_graph(const Node& node) {
  const auto has_graph = [](Mutex& lock, const Tensor& grad) {
    const std::scoped_lock guard(lock);
    return grad.defined() && gradient_node(grad);
  };
  if (node.is_leaf()) {
    const auto& leaf = static_cast<const LeafNode&>(node);
    return has_graph(leaf.lock, leaf.grad);
  }
  Node::Extras* extras = node.extras();
  return extras && has_graph(extras->lock, extras->retained_grad);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// Hooks and gradients of the listed nodes and of the leaves below them, each once.
std::vector<std::string> find_suspects(const std::unordered_set<const Node*>& nodes) {
  std::vector<std::string> suspects;
  std::unordered_set<const Node*> seen;
  const auto look_at = [&](const Node& node) {
    if (!seen.insert(&node).second) return;
    const std::string name = first_line(node.describe());
    if (node.extras() && !node.extras()->hooks.empty()) {
      suspects.push_back(name + " has hooks: they must not capture a tensor computed from it, nor itself");
    }
    if (gradient_has_graph(node)) {
      suspects.push_back(name + " holds a gradient with a graph: clear_gradient() when it was used");
    }
  };
  for (const Node* node : nodes) {
    look_at(*node);
    for (const Ref<Node>& input : node->inputs()) {
      if (input && input->is_leaf()) look_at(*input);
    }
  }
  std::ranges::sort(suspects);
  return suspects;
}

}  // namespace

void detail::track_node(Node& node) {
  Node::Extras& extras = node.make_extras();
  const std::scoped_lock lock(listed().mutex);
  listed().nodes.insert(&node);
  extras.is_tracked = true;
}

void detail::untrack_node(const Node& node) noexcept {
  const std::scoped_lock lock(listed().mutex);
  listed().nodes.erase(&node);
}

static LiveGraphs collect() {
  LiveGraphs live;
  std::map<std::pair<std::string_view, std::string_view>, LiveGraphs::Op> by_place;
  const std::scoped_lock lock(listed().mutex);
  for (const Node* node : listed().nodes) {
    LiveGraphs::Op& op = by_place[{node->name(), node->extras()->origin}];
    const std::int64_t bytes = node->saved_bytes();
    ++op.nodes;
    op.saved_bytes += bytes;
    live.saved_bytes += bytes;
  }
  for (auto& [place, op] : by_place) {
    op.name = place.first;
    op.origin = place.second;
    live.ops.push_back(std::move(op));
  }
  std::ranges::stable_sort(live.ops, [](const LiveGraphs::Op& a, const LiveGraphs::Op& b) {
    return std::tie(a.saved_bytes, a.nodes) > std::tie(b.saved_bytes, b.nodes);
  });
  live.suspects = find_suspects(listed().nodes);
  live.tracked_nodes = static_cast<std::int64_t>(listed().nodes.size());
  live.nodes = Node::live_count();
  return live;
}

LiveGraphs live_graphs() { return detail::with_out_of_memory("live_graphs", collect); }

std::string LiveGraphs::text() const {
  return detail::with_out_of_memory("live_graphs", [&] {
    std::string text =
        fmt::format("{} nodes are alive; listed: {}, which saved {} bytes\n", nodes, tracked_nodes, saved_bytes);
    for (const std::string& suspect : suspects) text += "! " + suspect + "\n";
    for (const Op& op : ops) {
      text += fmt::format("{} x {}, {} bytes saved", op.nodes, op.name, op.saved_bytes);
      text += op.origin.empty() ? "\n" : ", recorded at: " + op.origin + "\n";
    }
    return text;
  });
}

}  // namespace dygrad
