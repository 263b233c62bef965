#include <dygrad/layers/checkpoint.h>

#include <utility>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/io/safetensors.h>
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
    check("load_state", path, layer, detail::compare_states(own, loaded.state));
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
    state.insert_all("model.", model.state_dict());
    state.insert_all("optimizer.", optimizer_state);
    save_state(path, state, metadata);
  });
}

StateMetadata load_checkpoint(const std::string& path, Layer& model, Optimizer& optimizer, const LoadOptions& options) {
  LoadedState loaded = load_state(path, options);
  return detail::with_out_of_memory("load_checkpoint", [&] {
    const StateDict model_state = loaded.state.with_prefix("model.");
    const StateDict optimizer_state = loaded.state.with_prefix("optimizer.");
    if (model_state.size() + optimizer_state.size() != loaded.state.size()) {
      throw InvalidArgument(Message("load_checkpoint", "the file is not a checkpoint.")
                                .line("file {}", path)
                                .expected("names that begin with \"model.\" or \"optimizer.\"")
                                .got("others too")
                                .fix("read it with load_state, or choose a file that save_checkpoint wrote"));
    }
    const StateDict own = model.state_dict();
    check("load_checkpoint", path, model, detail::compare_states(own, model_state));
    if (const LoadReport report = optimizer.compare_dict(optimizer_state); !report.ok())
      throw InvalidArgument(prefixed("optimizer.", report).message("load_checkpoint", "the optimizer", path));
    // The model changes last, by a copy that cannot fail; the optimizer's load is all or nothing itself.
    const detail::StateCopy copy(own, model_state);
    optimizer.set_state_dict(optimizer_state);
    copy.commit();
    return std::move(loaded.metadata);
  });
}

}  // namespace dygrad
