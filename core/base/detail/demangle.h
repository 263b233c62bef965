// Names of types and functions as they are written in C++.
#pragma once

#include <string>

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

/// `name` itself if it is no mangled name.
DYGRAD_API std::string demangled(const char* name);

}  // namespace dygrad::detail
