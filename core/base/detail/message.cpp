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

/// Not longer than anybody reads: names that a user gave may be of any length.
std::string shortened(std::string text) {
  constexpr std::size_t kLongest = 4096;
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // no part of a UTF-8 character
  text.resize(end);
  return text.append("...");
}

}  // namespace

// Where there is no memory for a message, its error is that of failed allocations.
Message::Message(std::string_view op, std::string_view problem) try : text_(op) {
  text_.append(": ").append(shortened(std::string(problem)));
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

void Message::append(std::string_view lead, fmt::string_view format, fmt::format_args args) try {
  text_.append(lead).append(shortened(without_signed_nans(fmt::vformat(format, args))));
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

}  // namespace dygrad
