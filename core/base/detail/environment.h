// Environment variables that choose among known values.
#pragma once

#include <initializer_list>
#include <string_view>

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

/// The value of the variable, which is one of `known`, or empty if it is unset or empty. Throws InvalidArgument naming
/// variable, value and the known ones otherwise; so it is not for initialisers of static objects, nor for noexcept
/// code.
DYGRAD_API std::string_view environment(const char* variable, std::initializer_list<std::string_view> known);

}  // namespace dygrad::detail
