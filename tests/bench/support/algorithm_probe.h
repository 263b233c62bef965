// Asks the library which kernels a call runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace dygrad::bench {

/// "backend:algorithm" of each kernel that `call` runs, in order, as the verbose lines have it.
std::vector<std::string> kernels_of(const std::function<void()>& call);

}  // namespace dygrad::bench
