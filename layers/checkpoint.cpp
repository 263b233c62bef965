#include <dygrad/layers/checkpoint.h>

#include <utility>

#include <dygrad/core/error.h>
#include <dygrad/core/io/safetensors.h>
#include <dygrad/core/message.h>
#include <dygrad/layers/layer.h>
#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

void save_state(const std::string& path, const StateDict& state, const StateMetadata& metadata) {
  save_safetensors(path, state.entries(), metadata);
}

void save_state(const std::string& path, const Layer& layer, const StateMetadata& metadata) {
  save_state(path, layer.state_dict(), metadata);
}

LoadedState load_state(const std::string& path, const LoadOptions& options) {
  SafetensorsFile file = load_safetensors(path, options);
  return {StateDict(std::move(file.tensors)), std::move(file.metadata)};
}

StateMetadata load_state(const std::string& path, Layer& layer, const LoadOptions& options) {
  LoadedState loaded = load_state(path, options);
  layer.set_dict(loaded.state);
  return std::move(loaded.metadata);
}

void save_checkpoint(const std::string& path, const Layer& model, const Optimizer& optimizer,
                     const StateMetadata& metadata) {
  StateDict state;
  state.insert_all("model.", model.state_dict());
  state.insert_all("optimizer.", optimizer.state_dict());
  save_state(path, state, metadata);
}

StateMetadata load_checkpoint(const std::string& path, Layer& model, Optimizer& optimizer, const LoadOptions& options) {
  LoadedState loaded = load_state(path, options);
  const StateDict model_state = loaded.state.with_prefix("model.");
  const StateDict optimizer_state = loaded.state.with_prefix("optimizer.");
  if (model_state.size() + optimizer_state.size() != loaded.state.size()) {
    throw InvalidArgument(Message("load_checkpoint", "the file is not a checkpoint.")
                              .line("file {}", path)
                              .expected("names that begin with \"model.\" or \"optimizer.\"")
                              .got("others too"));
  }
  // The model is checked before the optimizer changes, and the optimizer before the model does.
  if (const LoadReport report = model.compare_dict(model_state); !report.ok()) {
    throw InvalidArgument(report.message("load_checkpoint", model.full_name()));
  }
  optimizer.set_state_dict(optimizer_state);
  model.set_dict(model_state);
  return std::move(loaded.metadata);
}

}  // namespace dygrad
