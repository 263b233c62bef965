#include <dygrad/core/base/detail/message.h>

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
void append_shortened(std::string& to, std::string_view text) {
  const std::string_view shown = detail::utf8_prefix(text, detail::kMaxText);
  to.append(shown).append(shown.size() < text.size() ? "..." : "");
}
}  // namespace

// Where there is no memory for a message, its error is that of failed allocations.
Message::Message(std::string_view op, std::string_view problem) try : text_(op) {
  text_.append(": ");
  append_shortened(text_, problem);
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

void Message::append(std::string_view lead, fmt::string_view format, fmt::format_args args) try {
  text_.append(lead);
  append_shortened(text_, without_signed_nans(fmt::vformat(format, args)));
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

}  // namespace dygrad
