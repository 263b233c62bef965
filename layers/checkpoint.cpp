#include <dygrad/layers/checkpoint.h>

#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/layers/base/detail/layer_walk.h>
#include <dygrad/layers/base/detail/state_copy.h>
#include <dygrad/layers/base/layer.h>
#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

namespace {

void check(const char* op, const std::string& path, const Layer& layer, const LoadReport& report) {
  if (!report.ok()) throw InvalidArgument(report.message(op, layer.full_name(), path));
}

/// The same with names as in the file.
LoadReport prefixed(const std::string& prefix, LoadReport report) {
  for (auto* list : {&report.missing, &report.unexpected, &report.mismatched}) {
    for (std::string& entry : *list) entry.insert(0, prefix);
  }
  return report;
}

constexpr std::string_view kModel = "model.", kOptimizer = "optimizer.", kGenerator = "generator.";

/// The default one and the model's.
std::vector<std::pair<std::string, Generator*>> generators_of(const Layer& model) {
  std::vector<std::pair<std::string, Generator*>> all{{"default", &default_generator()}};
  for (auto& [path, generator] : detail::LayerWalk::generators(model))
    all.emplace_back(std::string(kModel) + path, generator);
  return all;
}

/// Seed and position, with the bits that they have unsigned.
Tensor tensor_of(const Generator::State& state) {
  return from_vector<std::int64_t>({static_cast<std::int64_t>(state.seed), static_cast<std::int64_t>(state.position)});
}
Generator::State state_of(const Tensor& tensor) {
  const std::vector<std::int64_t> both = tensor.to_vector<std::int64_t>();
  return {static_cast<std::uint64_t>(both[0]), static_cast<std::uint64_t>(both[1])};
}

StateDict states_of(const std::vector<std::pair<std::string, Generator*>>& generators) {
  StateDict states;
  for (const auto& [name, generator] : generators) states.insert(name, tensor_of(generator->state()));
  return states;
}

[[noreturn]] void fail_is_checkpoint(const std::string& path, const Layer& layer) {
  throw InvalidArgument(
      Message("load_state", "the file is a checkpoint.")
          .line("file {}", path)
          .expected("the names of {}'s state", layer.full_name())
          .got("names that begin with \"model.\" and \"optimizer.\"")
          .fix("use load_checkpoint, or layer.set_dict(load_state(path).state.with_prefix(\"model.\"))"));
}

/// A file that load_checkpoint would refuse is not written.
void check_loadable(const std::string& path, const Optimizer& optimizer, const StateDict& state) {
  (void)optimizer.get_lr();
  const LoadReport report = prefixed("optimizer.", optimizer.compare_dict(state));
  if (report.ok()) return;
  Message text("save_checkpoint", "the optimizer's state could not be loaded again.");
  (void)std::move(text).line("file {}, not written", path);
  for (const std::string& entry : report.mismatched) (void)std::move(text).line("mismatched {}", entry);
  throw InvalidArgument(
      std::move(text).fix("go on from an earlier checkpoint, with a smaller learning rate or clipped gradients"));
}

}  // namespace

void save_state(const std::string& path, const StateDict& state, const StateMetadata& metadata) {
  save_safetensors(path, state.entries(), metadata);
}

void save_state(const std::string& path, const Layer& layer, const StateMetadata& metadata) {
  save_state(path, layer.state_dict(), metadata);
}

LoadedState load_state(const std::string& path, const LoadOptions& options) {
  return detail::with_out_of_memory("load_state", [&] {
    SafetensorsFile file = load_safetensors(path, options);
    return LoadedState{StateDict(std::move(file.tensors)), std::move(file.metadata)};
  });
}

StateMetadata load_state(const std::string& path, Layer& layer, const LoadOptions& options) {
  LoadedState loaded = load_state(path, options);
  return detail::with_out_of_memory("load_state", [&] {
    const StateDict own = layer.state_dict();
    const LoadReport report = detail::compare_states(own, loaded.state);
    if (!report.ok() && loaded.state.contains("optimizer.global_step")) fail_is_checkpoint(path, layer);
    check("load_state", path, layer, report);
    detail::StateCopy(own, loaded.state).commit();
    return std::move(loaded.metadata);
  });
}

void save_checkpoint(const std::string& path, const Layer& model, const Optimizer& optimizer,
                     const StateMetadata& metadata) {
  detail::with_out_of_memory("save_checkpoint", [&] {
    const StateDict optimizer_state = optimizer.state_dict();
    check_loadable(path, optimizer, optimizer_state);
    StateDict state;
    state.insert_all(std::string(kModel), model.state_dict());
    state.insert_all(std::string(kOptimizer), optimizer_state);
    state.insert_all(std::string(kGenerator), states_of(generators_of(model)));
    save_state(path, state, metadata);
  });
}

StateMetadata load_checkpoint(const std::string& path, Layer& model, Optimizer& optimizer, const LoadOptions& options) {
  LoadedState loaded = load_state(path, options);
  return detail::with_out_of_memory("load_checkpoint", [&] {
    const StateDict model_state = loaded.state.with_prefix(kModel);
    const StateDict optimizer_state = loaded.state.with_prefix(kOptimizer);
    const StateDict generator_state = loaded.state.with_prefix(kGenerator);
    for (const auto& [name, tensor] : loaded.state) {
      if (name.starts_with(kModel) || name.starts_with(kOptimizer) || name.starts_with(kGenerator)) continue;
      throw InvalidArgument(Message("load_checkpoint", "the file is not a checkpoint.")
                                .line("file {}", path)
                                .expected("names that begin with \"model.\", \"optimizer.\" or \"generator.\"")
                                .got("\"{}\"", name)
                                .fix("read it with load_state, or choose a file that save_checkpoint wrote"));
    }
    const StateDict own = model.state_dict();
    check("load_checkpoint", path, model, prefixed(std::string(kModel), detail::compare_states(own, model_state)));
    if (const LoadReport report = optimizer.compare_dict(optimizer_state); !report.ok())
      throw InvalidArgument(
          prefixed(std::string(kOptimizer), report).message("load_checkpoint", optimizer.name(), path));
    const auto generators = generators_of(model);
    std::vector<Generator::State> positions;
    if (!generator_state.empty()) {
      check("load_checkpoint", path, model,
            prefixed(std::string(kGenerator), detail::compare_states(states_of(generators), generator_state)));
      for (const auto& [name, generator] : generators) positions.push_back(state_of(generator_state.at(name)));
    }
    // Model and generators change last, which cannot fail; the optimizer's load is all or nothing itself.
    const detail::StateCopy copy(own, model_state);
    optimizer.set_state_dict(optimizer_state);
    copy.commit();
    for (std::size_t i = 0; i < positions.size(); ++i) generators[i].second->set_state(positions[i]);
    return std::move(loaded.metadata);
  });
}

}  // namespace dygrad
