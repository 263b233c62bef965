// For threads that leave the cores to others.
#pragma once

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

/// As set_num_threads(1), but asks nothing of the OpenMP runtime, which ends the program where it gets no memory.
DYGRAD_API void use_one_thread() noexcept;

}  // namespace dygrad::detail
