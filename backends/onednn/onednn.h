// Convolutions on oneDNN's primitives, for float32: the fast path on x86-64 and AArch64 processors.
#pragma once

#include <memory>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

/// Activations are taken and returned channels-last; weights are converted to the library's own formats once per
/// version of their storage. Takes no problem for which oneDNN has only its reference implementation. Thread-safe.
std::unique_ptr<Backend> make_onednn_backend();

}  // namespace dygrad
