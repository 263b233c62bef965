// Direct convolution: what the other algorithms fall back to where they are not exact enough.
// For the .cpp files of backends/.
//
// Note [Padding zeros and non-finite values]
// Zeros of the padding, or of taps that a sub-kernel does not have, change no sum of finite numbers; but 0 times
// infinity is not a number. So an algorithm that multiplies such zeros needs finite factors on the other side; where
// they are not finite, it leaves the problem to one that has no more terms than the definition.
#pragma once

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

/// The fastest algorithm that sums exactly the terms of the definition, whatever the backend in force. It takes every
/// problem of floats of the convolution family.
const Algorithm& direct_algorithm(const Problem& problem);

/// The problem computed by it.
Tensor compute_direct(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue);

}  // namespace dygrad
