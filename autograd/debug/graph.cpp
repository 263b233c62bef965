#include <dygrad/autograd/debug/graph.h>

#include <queue>
#include <unordered_map>
#include <vector>

#include <dygrad/autograd/node.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {

/// All nodes below the root, inputs after the ops that use them and otherwise newest first, and their numbers.
struct Listing {
  std::vector<const Node*> nodes;
  std::unordered_map<const Node*, std::size_t> number;

  explicit Listing(const Tensor& root) {
    const Node* const first = gradient_node(root);
    if (!first) return;
    std::unordered_map<const Node*, std::size_t> num_uses = count_uses(first);
    // Sequence numbers alone give no order where several threads recorded the graph.
    const auto is_older = [](const Node* a, const Node* b) { return a->sequence_nr() < b->sequence_nr(); };
    std::priority_queue<const Node*, std::vector<const Node*>, decltype(is_older)> ready(is_older);
    ready.push(first);
    while (!ready.empty()) {
      const Node* node = ready.top();
      ready.pop();
      nodes.push_back(node);
      for (const Ref<Node>& input : node->inputs()) {
        if (input && --num_uses[input.get()] == 0) ready.push(input.get());
      }
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) number[nodes[i]] = nodes.size() - 1 - i;
  }

 private:
  static std::unordered_map<const Node*, std::size_t> count_uses(const Node* first) {
    std::unordered_map<const Node*, std::size_t> num_uses{{first, 0}};
    std::vector<const Node*> stack{first};
    while (!stack.empty()) {
      const Node* node = stack.back();
      stack.pop_back();
      for (const Ref<Node>& input : node->inputs()) {
        if (input && num_uses[input.get()]++ == 0) stack.push_back(input.get());
      }
    }
    return num_uses;
  }
};

std::string title(const Node& node) {
  const auto* leaf = node.is_leaf() ? static_cast<const LeafNode*>(&node) : nullptr;
  return detail::printable(leaf && !leaf->label.empty() ? std::string_view(leaf->label) : node.name());
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string make_text(const Tensor& root) {
  const Listing all(root);
  if (all.nodes.empty()) return "(no graph: this tensor stops gradients)\n";
  std::string text;
  for (const Node* node : all.nodes) {
    text += fmt::format("%{:<4} {:<24} {} {}", all.number.at(node), title(*node), node->output_shape(),
                        node->output_dtype());
    bool first = true;
    for (const Ref<Node>& input : node->inputs()) {
      text += std::exchange(first, false) ? "  <- " : ", ";
      text += input ? fmt::format("%{}", all.number.at(input.get())) : "const";
    }
    text += '\n';
  }
  return text;
}

std::string make_dot(const Tensor& root) {
  const Listing all(root);
  std::string text = "digraph dygrad {\n  rankdir=BT;\n  node [fontname=\"sans-serif\"];\n";
  for (const Node* node : all.nodes) {
    const std::string label = quoted(fmt::format("{}\n{}", title(*node), node->output_shape()));
    std::string escaped;
    for (char c : label) {
      if (c == '\n') escaped += "\\n";
      else escaped += c;
    }
    text += fmt::format("  n{} [label={}{}];\n", all.number.at(node), escaped,
                        node->is_leaf() ? ", shape=box, style=filled, fillcolor=\"#e8f0fe\"" : "");
  }
  for (const Node* node : all.nodes) {
    for (const Ref<Node>& input : node->inputs()) {
      if (input) text += fmt::format("  n{} -> n{};\n", all.number.at(input.get()), all.number.at(node));
    }
  }
  return text + "}\n";
}

}  // namespace

std::string graph_text(const Tensor& root) {
  return detail::with_out_of_memory("graph_text", [&] { return make_text(root); });
}

std::string graph_dot(const Tensor& root) {
  return detail::with_out_of_memory("graph_dot", [&] { return make_dot(root); });
}

}  // namespace dygrad
