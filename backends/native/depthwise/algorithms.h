// The algorithm for one channel per group.
#pragma once

#include <dygrad/backends/native/packing/native_algorithm.h>

namespace dygrad::native {

MakeAlgorithm make_depthwise;  ///< fwd, bwd_data and bwd_weights (depthwise.cpp)

}  // namespace dygrad::native
