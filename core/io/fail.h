// Throws the IoErrors of this folder in one form: what failed, in which file. For .cpp files: it pulls in fmt.
#pragma once

#include <dygrad/core/error.h>
#include <dygrad/core/io/file.h>
#include <dygrad/core/message.h>

namespace dygrad::io {

template <class... Args>
[[noreturn]] void fail(const Place& place, fmt::format_string<Args...> problem, Args&&... args) {
  throw IoError(Message(place.op, fmt::format(problem, std::forward<Args>(args)...)).line("file {}", place.path));
}

/// A name out of a file, fit for a message: in quotes, without control characters, not too long.
inline std::string in_quotes(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  std::string text = "\"";
  for (char c : name.substr(0, kLongest)) text += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text + (name.size() > kLongest ? "...\"" : "\"");
}

}  // namespace dygrad::io
