// Winograd's algorithms for the three directions.
#pragma once

#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

const Algorithm& winograd();           ///< D with fewer products (winograd.cpp)
const Algorithm& winograd_data();      ///< B likewise
const Algorithm& winograd_gradient();  ///< W likewise (winograd_gradient.cpp)
const Algorithm& wide_winograd();      ///< D, B and W with larger tiles: fewer products still, larger rounding errors
const Algorithm& wide_winograd_data();
const Algorithm& wide_winograd_gradient();

// With factors rounded to bfloat16, for problems that allow it.
const Algorithm& bf16_winograd();
const Algorithm& bf16_winograd_data();
const Algorithm& bf16_winograd_gradient();

}  // namespace dygrad::native
