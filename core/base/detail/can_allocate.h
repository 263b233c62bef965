// Asking whether memory could be had, before code that does not survive a failed allocation.
#pragma once

#include <cstddef>
#include <cstdint>

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

/// Whether the system would give `count` blocks of so many bytes now, together. They are given back at once, so another
/// thread may take them meanwhile.
DYGRAD_API bool can_allocate(std::size_t num_bytes, std::int64_t count = 1) noexcept;

}  // namespace dygrad::detail
