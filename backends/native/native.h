// The backend of dygrad's own vectorised kernels, which need no other library.
#pragma once

#include <memory>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

std::unique_ptr<Backend> make_native_backend();

}  // namespace dygrad
