#include <dygrad/core/base/detail/environment.h>

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

std::string_view detail::environment(const char* variable, std::initializer_list<std::string_view> known) {
  const char* text = std::getenv(variable);
  const std::string_view value = text ? text : "";
  if (value.empty() || std::ranges::find(known, value) != known.end()) return value;
  throw InvalidArgument(Message(variable, "the environment variable has an unknown value.")
                            .expected("one of {}", fmt::join(known, ", "))
                            .got("\"{}\"", value)
                            .fix("set it to one of these, or unset it"));
}

}  // namespace dygrad
