// Winograd's F(2, r) and F(4, r), r = 2 or 3, for the three directions.
#pragma once

#include <dygrad/backends/native/packing/native_algorithm.h>

namespace dygrad::native {

MakeAlgorithm make_winograd_f2, make_winograd_f4;                  ///< fwd and bwd_data (winograd.cpp)
MakeAlgorithm make_winograd_f2_weights, make_winograd_f4_weights;  ///< bwd_weights (winograd_bwd_weights.cpp)

}  // namespace dygrad::native
