// The algorithm for one channel per group.
#pragma once

#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

const Algorithm& depthwise();  ///< D, B and W (depthwise.cpp)

}  // namespace dygrad::native
