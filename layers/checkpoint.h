// Saving and loading state as safetensors files. Loading gives back the same bits.
#pragma once

#include <map>
#include <string>

#include <dygrad/core/io/load_options.h>
#include <dygrad/layers/base/state_dict.h>

namespace dygrad {

class Layer;
class Optimizer;

using StateMetadata = std::map<std::string, std::string>;

/// The file is replaced as a whole or, on an error, not at all. Values are saved as they are, NaN included. Throws
/// IoError; InvalidArgument for an undefined tensor, or a name that is "__metadata__" or not UTF-8.
DYGRAD_API void save_state(const std::string& path, const StateDict& state, const StateMetadata& metadata = {});
DYGRAD_API void save_state(const std::string& path, const Layer& layer, const StateMetadata& metadata = {});

struct LoadedState {
  StateDict state;
  StateMetadata metadata;
};
/// Throws IoError if the file is missing, unreadable, malformed, or takes more memory than `options` allow.
DYGRAD_API LoadedState load_state(const std::string& path, const LoadOptions& options = {});
/// Reads a file into a layer, strictly; the layer is unchanged if anything does not fit. Returns the metadata. Throws
/// IoError as above, InvalidArgument listing every missing or unexpected name, and those with another shape or dtype.
DYGRAD_API StateMetadata load_state(const std::string& path, Layer& layer, const LoadOptions& options = {});

/// A model and its optimizer (with step counts and schedule) in one file, under "model." and "optimizer.", and under
/// "generator." the states of default_generator() and of the model's own generators, such as a seeded Dropout's. What
/// load_checkpoint would refuse is not written: throws InvalidArgument, in the same words, where training has led to an
/// accumulator that is not finite, or a rate that is negative or not finite. Throws IoError as save_state.
DYGRAD_API void save_checkpoint(const std::string& path, const Layer& model, const Optimizer& optimizer,
                                const StateMetadata& metadata = {});
/// Training then goes on as if it had never stopped, given the same batches (see DataLoader::set_epoch). Model,
/// optimizer and generators, default_generator() among them, are unchanged if anything does not fit. Returns the
/// metadata. Throws IoError as load_state; InvalidArgument if names, shapes or dtypes do not fit, or a number of the
/// optimizer is out of its range (see Optimizer::set_state_dict). Values of the model are taken as they are. A file
/// without any generator, as made by hand, leaves them where they are.
DYGRAD_API StateMetadata load_checkpoint(const std::string& path, Layer& model, Optimizer& optimizer,
                                         const LoadOptions& options = {});

}  // namespace dygrad
