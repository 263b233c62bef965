// fmt support: shapes print as [2, 3], dtypes by name. Not part of the umbrella header, which stays free of fmt.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include <dygrad/core/base/dtype.h>
#include <dygrad/core/base/shape.h>

namespace dygrad::detail {

// Takes "{}" only. Deriving from fmt's formatter of strings would add widths, but makes g++ 12 warn of overflows in
// fmt.
struct TextFormatter {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }

 protected:
  template <class Context>
  static auto write(std::string_view text, Context& context) {
    return std::copy(text.begin(), text.end(), context.out());
  }
};

}  // namespace dygrad::detail

template <>
struct fmt::formatter<dygrad::DType> : dygrad::detail::TextFormatter {
  template <class Context>
  auto format(dygrad::DType dtype, Context& context) const {
    return write(dygrad::name_of(dtype), context);
  }
};

template <>
struct fmt::formatter<dygrad::Dims> : dygrad::detail::TextFormatter {
  template <class Context>
  auto format(const dygrad::Dims& dims, Context& context) const {
    return write(dygrad::to_string(dims), context);
  }
};
