// Builds error messages of one shape. For the library's own .cpp files: it pulls in fmt, so no public header includes
// it.
//
//   throw ShapeError(Message("matmul", "inner sizes differ.")
//                        .line("a {}, b {}", a.shape(), b.shape())
//                        .expected("a.shape[-1] == b.shape[-2]").got("{} and {}", k, l)
//                        .fix("transpose one operand"));
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include <dygrad/core/format.h>

namespace dygrad {

class Message {
 public:
  Message(std::string_view op, std::string_view problem) : text_(fmt::format("{}: {}", op, problem)) {}

  /// One fact on its own, indented line.
  template <class... Args>
  Message&& line(fmt::format_string<Args...> format, Args&&... args) && {
    text_ += "\n  ";
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    return std::move(*this);
  }
  template <class... Args>
  Message&& expected(fmt::format_string<Args...> format, Args&&... args) && {
    text_ += "\n  expected ";
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    return std::move(*this);
  }
  /// Continues the line of `expected`.
  template <class... Args>
  Message&& got(fmt::format_string<Args...> format, Args&&... args) && {
    text_ += ", got ";
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    return std::move(*this);
  }
  template <class... Args>
  Message&& fix(fmt::format_string<Args...> format, Args&&... args) && {
    text_ += "\n  fix: ";
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    return std::move(*this);
  }
  operator std::string() && { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace dygrad
