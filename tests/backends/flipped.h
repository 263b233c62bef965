// Views with negative strides.
#pragma once

#include <initializer_list>

#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad::testing {

/// x read from the other end along these axes, in the same memory.
inline Tensor flip(const Tensor& x, std::initializer_list<int> axes) {
  if (x.num_elements() == 0) return x;
  Strides strides = x.strides();
  std::int64_t first = 0;
  for (int axis : axes) {
    const int i = axis < 0 ? axis + x.rank() : axis;
    first += (x.shape()[i] - 1) * strides[i];
    strides[i] = -strides[i];
  }
  return view::strided(x, x.shape(), strides, first);
}

/// The values of x, stored in the opposite order along these axes: strides are negative there.
inline Tensor backwards(const Tensor& x, std::initializer_list<int> axes) {
  return flip(kernel::clone(flip(x, axes), MemoryFormat::row_major), axes);
}

}  // namespace dygrad::testing
