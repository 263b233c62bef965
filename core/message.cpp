#include <dygrad/core/message.h>

namespace dygrad {

Message::Message(std::string_view op, std::string_view problem) : text_(op) { text_.append(": ").append(problem); }

void Message::append(std::string_view lead, fmt::string_view format, fmt::format_args args) {
  text_.append(lead).append(fmt::vformat(format, args));
}

}  // namespace dygrad
