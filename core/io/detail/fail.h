// Throws the IoErrors of this folder in one form: what failed, in which file.
#pragma once

#include <system_error>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/io/detail/file_context.h>

namespace dygrad::io {

/// Text out of a file or a path, fit for a message: without control characters, not too long.
inline std::string printable(std::string_view text, std::size_t longest = dygrad::detail::kMaxText) {
  std::string result;
  for (char c : dygrad::detail::utf8_prefix(text, longest))
    result += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return text.size() > longest ? result + "..." : result;
}
inline std::string in_quotes(std::string_view name) { return "\"" + printable(name, 80) + "\""; }

/// The same with "\xNN" for every byte that is not ASCII.
inline std::string escaped(std::string_view text, std::size_t longest = 80) {
  std::string result;
  for (char c : text.substr(0, longest)) {
    const unsigned byte = static_cast<unsigned char>(c);
    result += byte < 0x80 ? printable({&c, 1}) : fmt::format("\\x{:02x}", byte);
  }
  return "\"" + result + (text.size() > longest ? "...\"" : "\"");
}

/// The beginning of every message about a file.
inline Message about(const FileContext& context, std::string_view problem) {
  Message message(context.op, problem);
  (void)std::move(message).line("file {}", printable(context.path));  // adds in place
  if (!context.member.empty()) (void)std::move(message).line("array {}", in_quotes(context.member));
  return message;
}

template <class... Args>
[[noreturn]] void fail(const FileContext& context, fmt::format_string<Args...> problem, Args&&... args) {
  Message message = about(context, fmt::format(problem, std::forward<Args>(args)...));
  if (!context.remedy.empty()) (void)std::move(message).fix("{}", context.remedy);
  throw IoError(std::move(message));
}

/// A call of the system failed with this errno.
[[noreturn]] inline void fail_system(const FileContext& context, std::string_view problem, int error,
                                     std::string_view fix) {
  throw IoError(about(context, problem).line("reason: {}", std::generic_category().message(error)).fix("{}", fix));
}

}  // namespace dygrad::io
