// How kernels compute on this thread: in which precision, and whether algorithms are tried out.
#pragma once

#include <cstdint>

#include <dygrad/core/base/export.h>

namespace dygrad {

/// What convolutions may do for speed. Tensors keep their dtype.
enum class MathMode : std::uint8_t {
  standard,  ///< computes in the dtype of the tensors; Winograd is allowed, whose errors are relative to a tile's values
  strict,    ///< the same without Winograd: every result is a direct sum of its products
  bfloat16,  ///< float32 convolutions may round their inputs to bfloat16, with float32 accumulation, where that is faster
};

/// What ops on this thread follow from now on; a backward pass follows what its forward pass did.
struct ExecutionContext {
  MathMode math_mode = MathMode::standard;
  bool autotune = false;  ///< time every algorithm at the first sight of a problem (core/dispatch/autotune.h)
};

/// Of this thread. Starts as DYGRAD_MATH_MODE says, which is the name of a MathMode, and with autotuning if
/// DYGRAD_AUTOTUNE=1 (or without: 0). Throws InvalidArgument where one of them has another value.
DYGRAD_API const ExecutionContext& execution_context();

/// While alive, this thread computes so; then as before, also on exceptions. Nests.
class DYGRAD_API ExecutionGuard {
 public:
  explicit ExecutionGuard(const ExecutionContext& context);
  ~ExecutionGuard();
  ExecutionGuard(const ExecutionGuard&) = delete;
  ExecutionGuard& operator=(const ExecutionGuard&) = delete;

 private:
  ExecutionContext previous_;
};

}  // namespace dygrad
