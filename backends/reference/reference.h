// The backend that defines the meaning: plain loops, every numeric dtype, no library. All others must agree with it.
#pragma once

#include <memory>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

/// Computes float32, float64 and int64; any strides. Sums of float32 are computed in float64 and rounded once; sums of
/// float64 in blocks of 256 products that are added with compensation, so that their length adds no error of its own.
/// Needs no memory but the result's, and that of operands that are not row-major.
std::unique_ptr<Backend> make_reference_backend();

}  // namespace dygrad
