// Throws the IoErrors of this folder in one form: what failed, in which file.
#pragma once

#include <system_error>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/io/detail/file_context.h>

namespace dygrad::io {

/// A name out of a file, of which no more than its beginning is shown.
inline std::string in_quotes(std::string_view name) {
  constexpr std::size_t kLongest = 80;
  const std::string_view shown = dygrad::detail::utf8_prefix(name, kLongest);
  return "\"" + std::string(shown) + (shown.size() < name.size() ? "...\"" : "\"");
}

/// The beginning of every message about a file.
inline Message about(const FileContext& context, std::string_view problem) {
  Message message(context.op, problem);
  (void)std::move(message).line("file {}", context.path);  // adds in place
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
