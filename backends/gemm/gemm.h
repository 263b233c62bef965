// Convolutions and products as matrix products of a BLAS, for float32 and float64: the fast path for float64, and the
// stand-in wherever oneDNN has no fast kernel.
#pragma once

#include <memory>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

/// Activations are channels-last inside and on return. Any strides are taken. Thread-safe.
/// A BLAS that keeps its own pool of threads (OpenBLAS's pthread build) is set to use one: we split the work
/// ourselves.
std::unique_ptr<Backend> make_gemm_backend();

}  // namespace dygrad
