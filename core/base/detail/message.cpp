#include <dygrad/core/base/detail/message.h>

#include <algorithm>
#include <cctype>

#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// "-nan" becomes "nan": a NaN's sign is an accident of the instruction that made it.
std::string without_signed_nans(std::string text) {
  constexpr std::string_view nan = "-nan";
  for (std::size_t at = text.find(nan); at != std::string::npos; at = text.find(nan, at + 1)) {
    const bool begins = at == 0 || !is_word(text[at - 1]);
    const bool ends = at + nan.size() == text.size() || !is_word(text[at + nan.size()]);
    if (begins && ends) text.erase(at, 1);
  }
  return text;
}

}  // namespace

std::string_view detail::utf8_prefix(std::string_view text, std::size_t count) noexcept {
  if (text.size() <= count) return text;
  while (count > 0 && (static_cast<unsigned char>(text[count]) & 0xc0) == 0x80) --count;
  return text.substr(0, count);
}

namespace {

/// Bytes of the character that `text` begins with; 0 if it is a control character or no UTF-8.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first < 0x20 || first == 0x7f ? 0 : 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if (first == 0xc2 && second < 0xa0) return 0;  // C1
  const bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
  const bool is_beyond = (first == 0xed && second >= 0xa0) || (first == 0xf4 && second >= 0x90);
  return is_overlong || is_beyond ? 0 : length;
}

}  // namespace

void detail::append_printable(std::string& to, std::string_view text, Newlines newlines) {
  std::size_t shown = 0;
  while (!text.empty()) {
    const char c = text.front();
    char escape[8] = {c};
    std::size_t length = newlines == Newlines::keep && c == '\n' ? 1 : printable_length(text);
    const std::size_t taken = std::max<std::size_t>(length, 1);
    std::string_view piece = text.substr(0, taken);
    if (length == 0) {
      const char letter = c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 'x';
      length = 2;
      escape[0] = '\\';
      escape[1] = letter;
      if (letter == 'x') {
        constexpr const char* kDigits = "0123456789abcdef";
        escape[length++] = kDigits[static_cast<unsigned char>(c) >> 4];
        escape[length++] = kDigits[static_cast<unsigned char>(c) & 15];
      }
      piece = {escape, length};
    }
    shown += piece.size();
    if (shown > kMaxText) {
      to.append("...");
      return;
    }
    to.append(piece);
    text.remove_prefix(taken);
  }
}

std::string detail::printable(std::string_view text) {
  std::string result;
  append_printable(result, text);
  return result;
}

// Where there is no memory for a message, its error is that of failed allocations.
Message::Message(std::string_view op, std::string_view problem) try {
  detail::append_printable(text_, op);
  text_.append(": ");
  detail::append_printable(text_, problem);
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

void Message::append(std::string_view lead, fmt::string_view format, fmt::format_args args,
                     detail::Newlines newlines) try {
  text_.append(lead);
  detail::append_printable(text_, without_signed_nans(fmt::vformat(format, args)), newlines);
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

}  // namespace dygrad
