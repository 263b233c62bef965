// LayerWalk: the one walk over a layer and all below it.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include <dygrad/layers/base/layer.h>

namespace dygrad::detail {

/// The path of a part called `name` of the layer at `prefix`.
inline std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

/// How a walk meets a layer that several others share.
enum class Shared : std::uint8_t { once, each_path };

/// Friend of Layer. The walk keeps its place in memory of its own, so that deep nesting needs no deep stack, and never
/// enters a layer from within itself.
struct LayerWalk {
  /// enter(path, layer) comes before the sublayers', leave(layer) after them. `path` begins with `prefix`.
  template <class Enter, class Leave>
  static void run(const Layer& root, const std::string& prefix, Shared shared, const Enter& enter, const Leave& leave) {
    struct Level {
      const Layer* layer;
      std::size_t path_length;
      std::size_t next = 0;  // of the sublayers
    };
    std::vector<Level> levels;
    std::unordered_set<const Layer*> met;  // ever, or on the way here
    std::string path = prefix;
    const auto go_into = [&](const Layer& layer) {
      met.insert(&layer);
      levels.push_back({&layer, path.size()});
      enter(path, layer);
    };
    go_into(root);
    while (!levels.empty()) {
      Level& level = levels.back();
      path.resize(level.path_length);
      if (level.next == level.layer->children_.size()) {
        leave(*level.layer);
        if (shared == Shared::each_path) met.erase(level.layer);
        levels.pop_back();
        continue;
      }
      const NamedSublayer& child = level.layer->children_[level.next++];
      if (met.contains(child.layer)) continue;
      if (!path.empty()) path += '.';
      if (child.name.empty()) path += std::to_string(level.next - 1);
      else path += child.name;
      go_into(*child.layer);
    }
  }
  template <class Enter>
  static void run(const Layer& root, const std::string& prefix, const Enter& enter) {
    run(root, prefix, Shared::once, enter, [](const Layer&) {});
  }

  /// Calls visit(path, layer, entry) for each distinct, defined tensor of one list of each layer.
  template <class Entry, class Visit>
  static void run_tensors(const Layer& root, const std::string& prefix, bool include_sublayers,
                          std::vector<Entry> Layer::*list, const Visit& visit) {
    std::unordered_set<const TensorImpl*> seen;
    const auto enter = [&](const std::string& path, const Layer& layer) {
      for (const Entry& entry : layer.*list) {
        const Tensor& tensor = tensor_of(entry);
        if (tensor.defined() && seen.insert(tensor.impl()).second) visit(path, entry);
      }
    };
    if (include_sublayers) run(root, prefix, enter);
    else enter(prefix, root);
  }
  template <class Visit>
  static void run_parameters(const Layer& root, const std::string& prefix, bool include_sublayers, const Visit& visit) {
    run_tensors(root, prefix, include_sublayers, &Layer::parameters_, visit);
  }
  template <class Visit>
  static void run_buffers(const Layer& root, const std::string& prefix, bool include_sublayers, const Visit& visit) {
    run_tensors(root, prefix, include_sublayers, &Layer::buffers_, visit);
  }

  static StateDict state(const Layer& root, bool use_structured_name);
  /// By path, each once.
  static std::vector<std::pair<std::string, Generator*>> generators(const Layer& root);

 private:
  static const Tensor& tensor_of(const NamedParameter& entry) { return *entry.parameter; }
  static const Tensor& tensor_of(const NamedBuffer& entry) { return *entry.tensor; }
};

}  // namespace dygrad::detail
