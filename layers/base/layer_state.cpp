// The members of Layer that give and take its state.
#include <unordered_map>
#include <utility>
#include <vector>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/base/detail/layer_walk.h>
#include <dygrad/layers/base/detail/state_copy.h>
#include <dygrad/layers/base/layer.h>

namespace dygrad {

StateDict detail::LayerWalk::state(const Layer& root, bool use_structured_name) {
  StateDict::Entries entries;
  std::unordered_map<std::string, const TensorImpl*> parameter_of;  // by name
  const auto add_parameter = [&](const std::string& path, const NamedParameter& entry) {
    if (!entry.parameter->defined()) return;
    if (use_structured_name) return void(entries.emplace_back(join(path, entry.name), *entry.parameter));
    const std::string& name = entry.parameter->name();
    const auto [at, is_new] = parameter_of.emplace(name, entry.parameter->impl());
    if (is_new) return void(entries.emplace_back(name, *entry.parameter));
    if (at->second == entry.parameter->impl()) return;
    throw InvalidArgument(Message("state_dict", "two parameters are named \"{}\".", name)
                              .line("one of them is at {}", join(path, entry.name))
                              .expected("a name for each")
                              .got("names of two naming scopes")
                              .fix("use structured names, or make both in one UniqueNameGuard"));
  };
  // Each level that holds the one below twice doubles their number.
  constexpr std::int64_t kMaxPaths = std::int64_t{1} << 20;
  std::int64_t paths = 0;
  const auto enter = [&](const std::string& path, const Layer& layer) {
    if (++paths > kMaxPaths) {
      throw InvalidArgument(Message("state_dict", "shared layers lead to too many paths.")
                                .line("one of them is {}", path)
                                .expected("at most {} paths from {} to its sublayers", kMaxPaths, root.full_name())
                                .got("more")
                                .fix("take the state of the shared layers on their own"));
    }
    for (const NamedParameter& entry : layer.parameters_) add_parameter(path, entry);
    for (const NamedBuffer& entry : layer.buffers_) {
      if (entry.persistable && entry.tensor->defined()) entries.emplace_back(join(path, entry.name), *entry.tensor);
    }
  };
  run(root, {}, Shared::each_path, enter, [](const Layer&) {});
  return StateDict(std::move(entries));
}

std::vector<std::pair<std::string, Generator*>> detail::LayerWalk::generators(const Layer& root) {
  std::vector<std::pair<std::string, Generator*>> found;
  run(root, {}, [&](const std::string& path, const Layer& layer) {
    for (const NamedGenerator& entry : layer.generators_) found.emplace_back(join(path, entry.name), entry.generator);
  });
  return found;
}

StateDict Layer::state_dict(StateDictOptions options) const {
  return detail::with_out_of_memory("state_dict",
                                    [&] { return detail::LayerWalk::state(*this, options.use_structured_name); });
}

LoadReport Layer::compare_dict(const StateDict& state, StateDictOptions options) const {
  return detail::with_out_of_memory("compare_dict", [&] { return detail::compare_states(state_dict(options), state); });
}

LoadReport Layer::set_dict(const StateDict& state, SetDictOptions options) {
  return detail::with_out_of_memory("set_dict", [&] {
    const StateDict own = state_dict({.use_structured_name = options.use_structured_name});
    LoadReport report = detail::compare_states(own, state);
    if (options.strict && !report.ok()) throw InvalidArgument(report.message("set_dict", full_name()));
    detail::StateCopy(own, state).commit();
    return report;
  });
}

}  // namespace dygrad
