// When a result may be written over an operand that nobody needs any more.
#pragma once

#include <dygrad/core/kernels/copy.h>

namespace dygrad::kernel {

/// True if nobody but the holder of `x` can see its memory, which is not borrowed, and no two elements overlap.
inline bool is_donatable(const Tensor& x) {
  return x.impl()->ref_count() == 1 && x.impl()->storage->ref_count() == 1 && !x.impl()->storage->is_borrowed() &&
         x.memory_format().has_value();
}

/// Where to put a result of x's shape and dtype when x itself is not needed any longer: over x, or into fresh memory in
/// the same order. Not while a pass records, since then x may be asked for again.
inline Tensor donate_or_empty_like(const Tensor& x) { return is_donatable(x) ? x : empty_like(x, x.dtype()); }

}  // namespace dygrad::kernel
