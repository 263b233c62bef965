// Tensors by name in the safetensors format, which Python reads and writes too.
// Source: https://github.com/huggingface/safetensors, section "Format".
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <dygrad/core/io/load_options.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Tensors in an order that matters to people; names are distinct.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using Metadata = std::map<std::string, std::string>;

struct SafetensorsFile {
  NamedTensors tensors;  ///< in the order of the file's header
  Metadata metadata;
};

/// Writes all tensors, of any dtype and any strides, by value. The file is replaced as a whole or, on an error or a
/// crash, not at all. Throws InvalidArgument for an undefined tensor, a repeated name, the name "__metadata__" or text
/// that is not UTF-8; IoError if the file cannot be written.
DYGRAD_API void save_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

/// Reads a whole file. F16 and BF16 become float32; I8, I16, U16, I32 and U32 become int64; both are exact.
/// Throws IoError, naming file and reason, if the file cannot be read, is malformed in any way, or holds other types
/// (U64, 8-bit floats), more than six dimensions, or more than `options` allow. Nothing is allocated on the word of a
/// malformed header.
DYGRAD_API SafetensorsFile load_safetensors(const std::string& path, const LoadOptions& options = {});

}  // namespace dygrad
