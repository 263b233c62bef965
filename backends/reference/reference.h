// The backend that defines the meaning: plain loops, every numeric dtype, no library. All others must agree with it.
#pragma once

#include <memory>

#include <dygrad/core/backend.h>

namespace dygrad {

/// Computes float32, float64 and int64; any strides. float32 is computed in float64 and rounded once.
std::unique_ptr<Backend> make_reference_backend();

}  // namespace dygrad
