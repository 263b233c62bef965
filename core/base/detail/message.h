// Builds error messages of one shape. It pulls in fmt, so no public header includes it.
//
//   throw ShapeError(Message("matmul", "inner sizes differ.")
//                        .line("a {}, b {}", a.shape(), b.shape())
//                        .expected("a.dim(-1) == b.dim(-2)").got("{} and {}", k, l)
//                        .fix("transpose one operand"));
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <dygrad/core/base/export.h>
#include <dygrad/core/base/format.h>

namespace dygrad {

namespace detail {
/// Names that a user gave may be of any length: nobody reads more of a text than so many bytes.
inline constexpr std::size_t kMaxText = 4096;
enum class Newlines : std::uint8_t { escape, keep };
/// Appends text of a user or a file to a message: valid UTF-8 as it is, control characters (C0, DEL, C1) and bytes that
/// are no UTF-8 as "\n", "\t", "\r" or "\xNN"; what would take more than kMaxText bytes ends in "...".
DYGRAD_API void append_printable(std::string& to, std::string_view text, Newlines newlines = Newlines::escape);
DYGRAD_API std::string printable(std::string_view text);
/// The first bytes of a text in UTF-8, at most `count`, without a part of a character.
DYGRAD_API std::string_view utf8_prefix(std::string_view text, std::size_t count) noexcept;
}  // namespace detail

/// All text that goes in is made printable, so that no name ends the message, moves the cursor or begins a line.
class DYGRAD_API Message {
 public:
  Message(std::string_view op, std::string_view problem);
  template <class First, class... Args>
  Message(std::string_view op, fmt::format_string<First, Args...> problem, First&& first, Args&&... args)
      : Message(op, std::string_view()) {
    append("", problem, fmt::make_format_args(first, args...));
  }

  /// One fact on its own, indented line.
  template <class... Args>
  Message&& line(fmt::format_string<Args...> format, Args&&... args) && {
    append("\n  ", format, fmt::make_format_args(args...));
    return std::move(*this);
  }
  /// A fact of several lines that the library has put together: newlines stay.
  template <class... Args>
  Message&& lines(fmt::format_string<Args...> format, Args&&... args) && {
    append("\n  ", format, fmt::make_format_args(args...), detail::Newlines::keep);
    return std::move(*this);
  }
  template <class... Args>
  Message&& expected(fmt::format_string<Args...> format, Args&&... args) && {
    append("\n  expected ", format, fmt::make_format_args(args...));
    has_expected_ = true;
    return std::move(*this);
  }
  /// Continues the line of `expected`, if there is one.
  template <class... Args>
  Message&& got(fmt::format_string<Args...> format, Args&&... args) && {
    append(has_expected_ ? ", got " : "\n  got ", format, fmt::make_format_args(args...));
    return std::move(*this);
  }
  template <class... Args>
  Message&& fix(fmt::format_string<Args...> format, Args&&... args) && {
    append("\n  fix: ", format, fmt::make_format_args(args...));
    return std::move(*this);
  }
  operator std::string() && { return std::move(text_); }

 private:
  // Out of line, so that fmt's machinery is compiled once.
  void append(std::string_view lead, fmt::string_view format, fmt::format_args args,
              detail::Newlines newlines = detail::Newlines::escape);

  std::string text_;
  bool has_expected_ = false;
};

}  // namespace dygrad
