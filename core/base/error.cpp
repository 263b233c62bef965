#include <dygrad/core/base/error.h>

#include <algorithm>
#include <new>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

Error::Error(const std::string& text) try : runtime_error(text) {
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

Error::Error(const char* text) try : runtime_error(text) {
} catch (const std::bad_alloc&) {
  detail::fail_without_memory();
}

const char* Error::what() const noexcept {
  return text_with_context_ ? text_with_context_->c_str() : std::runtime_error::what();
}

void Error::add_context(std::string_view where) noexcept {
  constexpr std::string_view kLead = "\n  ";
  const std::string_view text = what();
  try {
    auto longer = std::make_shared<std::string>();
    longer->reserve(text.size() + kLead.size() + std::min(where.size(), detail::kMaxText));
    longer->append(text).append(kLead);
    detail::append_printable(*longer, where);
    if (text.ends_with(std::string_view(*longer).substr(text.size()))) return;
    text_with_context_ = std::move(longer);
  } catch (const std::bad_alloc&) {  // the error is worth more than its context
  }
}

}  // namespace dygrad
