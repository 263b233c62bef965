// Results of timing algorithms; the public part is core/dispatch/autotune.h.
#pragma once

#include <cstdint>
#include <optional>

#include <dygrad/core/dispatch/autotune.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::autotune {

/// The remembered choice for a problem with the current number of threads.
std::optional<Choice> find(const Problem& problem);

/// Times every algorithm that supports the problem on these operands, and remembers the fastest.
void tune(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue);

/// Changes whenever what `find` answers may have changed. 0 while nothing was ever tuned.
std::uint64_t generation();

}  // namespace dygrad::autotune
