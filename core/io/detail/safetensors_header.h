// The JSON header of a safetensors file: text to entries, with every rule of the format checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <dygrad/core/io/detail/encoding.h>
#include <dygrad/core/io/safetensors.h>

namespace dygrad::io {

inline constexpr std::uint64_t kLargestHeader = 100'000'000;  // bytes; the format's own limit

struct SafetensorsEntry {
  std::string name;
  Encoding encoding;
  Shape shape;
  std::uint64_t begin, end;  // bytes, from the end of the header
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // in the order of the text
  Metadata metadata;
};

/// Throws IoError unless `text` is a valid header whose entries cover `num_data_bytes` exactly, without holes or
/// overlaps.
SafetensorsHeader parse_safetensors_header(const FileContext& context, std::string_view text,
                                           std::uint64_t num_data_bytes);

/// `text` as a JSON string, or nothing if it is not UTF-8. Here, because only one file compiles the JSON library.
std::optional<std::string> json_string(const std::string& text);

/// "F32" and the like.
std::string_view safetensors_name_of(Encoding encoding);

}  // namespace dygrad::io
