// The members of Layer that walk its sublayers, and its state.
#include <unordered_map>
#include <unordered_set>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>
#include <dygrad/layers/layer.h>

namespace dygrad {

namespace {
std::string join(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

template <class Named>
auto without_names(const std::vector<Named>& named) {
  std::vector<typename Named::second_type> values;
  values.reserve(named.size());
  for (const Named& entry : named) values.push_back(entry.second);
  return values;
}

std::string describe(const Tensor& x) {
  return x.defined() ? fmt::format("{} {}", x.dtype(), x.shape()) : "an undefined tensor";
}
}  // namespace

/// Calls visit(path, layer) on this layer and all below it, each once, parents first.
template <class Visit>
void Layer::walk(const std::string& prefix, const Visit& visit) const {
  std::unordered_set<const Layer*> seen;
  const auto descend = [&](const auto& self, const std::string& path, const Layer& layer) -> void {
    if (!seen.insert(&layer).second) return;
    visit(path, layer);
    for (const Child& child : layer.children_) self(self, join(path, child.name), *child.layer);
  };
  descend(descend, prefix, *this);
}

std::vector<std::pair<std::string, Parameter>> Layer::named_parameters(const std::string& prefix,
                                                                       bool include_sublayers) const {
  std::vector<std::pair<std::string, Parameter>> found;
  std::unordered_set<const TensorImpl*> seen;
  walk(prefix, [&](const std::string& path, const Layer& layer) {
    if (&layer != this && !include_sublayers) return;
    for (const ParameterEntry& entry : layer.parameters_) {
      const Parameter& parameter = *entry.parameter;
      if (parameter.defined() && seen.insert(parameter.impl()).second) {
        found.emplace_back(join(path, entry.name), parameter);
      }
    }
  });
  return found;
}

std::vector<Parameter> Layer::parameters(bool include_sublayers) const {
  return without_names(named_parameters({}, include_sublayers));
}

std::vector<std::pair<std::string, Tensor>> Layer::named_buffers(const std::string& prefix,
                                                                 bool include_sublayers) const {
  std::vector<std::pair<std::string, Tensor>> found;
  std::unordered_set<const TensorImpl*> seen;
  walk(prefix, [&](const std::string& path, const Layer& layer) {
    if (&layer != this && !include_sublayers) return;
    for (const BufferEntry& entry : layer.buffers_) {
      const Tensor& buffer = *entry.tensor;
      if (buffer.defined() && seen.insert(buffer.impl()).second) found.emplace_back(join(path, entry.name), buffer);
    }
  });
  return found;
}

std::vector<Tensor> Layer::buffers(bool include_sublayers) const {
  return without_names(named_buffers({}, include_sublayers));
}

std::vector<std::pair<std::string, Layer*>> Layer::named_sublayers(const std::string& prefix, bool include_self) {
  std::vector<std::pair<std::string, Layer*>> found;
  walk(prefix, [&](const std::string& path, const Layer& layer) {
    // Reached from this non-const layer, so none of them is const.
    if (&layer != this || include_self) found.emplace_back(path, const_cast<Layer*>(&layer));
  });
  return found;
}

std::vector<Layer*> Layer::sublayers(bool include_self) { return without_names(named_sublayers({}, include_self)); }

std::vector<std::pair<std::string, Layer*>> Layer::named_children() {
  std::vector<std::pair<std::string, Layer*>> found;
  std::unordered_set<const Layer*> seen;
  for (const Child& child : children_) {
    if (seen.insert(child.layer).second) found.emplace_back(child.name, child.layer);
  }
  return found;
}

std::vector<Layer*> Layer::children() { return without_names(named_children()); }

std::int64_t Layer::num_parameters() const {
  std::int64_t count = 0;
  for (const Parameter& parameter : parameters()) count += parameter.num_elements();
  return count;
}

void Layer::set_training(bool training) {
  for (Layer* layer : sublayers(/*include_self=*/true)) layer->training_ = training;
}

void Layer::clear_gradients() {
  for (Parameter& parameter : parameters()) {
    if (parameter.trainable()) parameter.clear_gradient();
  }
}

Layer& Layer::apply(const std::function<void(Layer&)>& visit) {
  std::unordered_set<const Layer*> seen;
  const auto descend = [&](const auto& self, Layer& layer) -> void {
    if (!seen.insert(&layer).second) return;
    for (const Child& child : layer.children_) self(self, *child.layer);
    visit(layer);
  };
  descend(descend, *this);
  return *this;
}

/// One place that state is read from and written to.
struct Layer::StateTarget {
  std::string name;
  Tensor tensor;
};

std::vector<Layer::StateTarget> Layer::state_targets(bool use_structured_name) const {
  std::vector<StateTarget> targets;
  std::unordered_set<std::string> seen;
  const auto descend = [&](const auto& self, const std::string& path, const Layer& layer) -> void {
    for (const ParameterEntry& entry : layer.parameters_) {
      if (!entry.parameter->defined()) continue;
      std::string name = use_structured_name ? join(path, entry.name) : entry.parameter->name();
      if (seen.insert(name).second) targets.push_back({std::move(name), *entry.parameter});
    }
    for (const BufferEntry& entry : layer.buffers_) {
      if (entry.persistable && entry.tensor->defined()) targets.push_back({join(path, entry.name), *entry.tensor});
    }
    for (const Child& child : layer.children_) self(self, join(path, child.name), *child.layer);
  };
  descend(descend, {}, *this);
  return targets;
}

StateDict Layer::state_dict(StateDictOptions options) const {
  StateDict::Entries entries;
  for (StateTarget& target : state_targets(options.use_structured_name)) {
    entries.emplace_back(std::move(target.name), std::move(target.tensor));
  }
  return StateDict(std::move(entries));
}

LoadReport Layer::compare(const std::vector<StateTarget>& targets, const StateDict& state) const {
  LoadReport report;
  std::unordered_map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state) given.emplace(name, &tensor);
  for (const StateTarget& target : targets) {
    const auto found = given.find(target.name);
    if (found == given.end()) {
      report.missing.push_back(target.name);
      continue;
    }
    const Tensor& source = *found->second;
    if (!source.defined() || source.shape() != target.tensor.shape() || source.dtype() != target.tensor.dtype()) {
      report.mismatched.push_back(
          fmt::format("{}: expected {}, got {}", target.name, describe(target.tensor), describe(source)));
    }
    given.erase(found);
  }
  for (const auto& [name, tensor] : state) {
    if (given.contains(name)) report.unexpected.push_back(name);
  }
  return report;
}

LoadReport Layer::compare_dict(const StateDict& state, StateDictOptions options) const {
  return compare(state_targets(options.use_structured_name), state);
}

LoadReport Layer::set_dict(const StateDict& state, SetDictOptions options) {
  const std::vector<StateTarget> targets = state_targets(options.use_structured_name);
  LoadReport report = compare(targets, state);
  if (options.strict && !report.ok()) throw InvalidArgument(report.message("set_dict", full_name()));
  std::unordered_map<std::string_view, const Tensor*> given;
  for (const auto& [name, tensor] : state) given.emplace(name, &tensor);
  for (const StateTarget& target : targets) {
    const auto found = given.find(target.name);
    if (found == given.end()) continue;
    const Tensor& source = *found->second;
    if (!source.defined() || source.shape() != target.tensor.shape() || source.dtype() != target.tensor.dtype())
      continue;
    Tensor place = target.tensor;
    place.set_value(source);
  }
  return report;
}

}  // namespace dygrad
