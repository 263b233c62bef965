// How kernels compute on this thread: in which precision, and whether algorithms are tried out.
#pragma once

#include <cstdint>

#include <dygrad/core/export.h>

namespace dygrad {

/// In which precision products are computed. Tensors keep their dtype.
enum class Compute : std::uint8_t {
  exact,     ///< in the dtype of the tensors; sums may be rearranged, which rounds relative to neighbouring numbers
  direct,    ///< the same without that: every result is the plain sum of its products, and rounded relative to these
  bfloat16,  ///< factors of float32 convolutions rounded to bfloat16, sums in float32, where that is faster
};

/// What ops on this thread follow from now on; a backward pass follows what its forward pass did.
struct ExecutionContext {
  Compute compute = Compute::exact;
  bool autotune = false;  ///< time every algorithm at the first sight of a problem (core/autotune.h)
};

/// Of this thread. Starts as DYGRAD_COMPUTE says, which is the name of a Compute, and with autotuning if
/// DYGRAD_AUTOTUNE=1.
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
