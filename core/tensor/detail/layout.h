// Questions about where the elements of tensors lie.
#pragma once

#include <cstdint>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

/// True if both strides lead to the same places; those of extents of 1 do not matter.
DYGRAD_API bool is_same_layout(const Shape& shape, const Strides& a, const Strides& b);

/// True if writing one of them element by element could change an element of the other before it is read: their memory
/// overlaps, and not element for element.
DYGRAD_API bool overlaps(const Tensor& a, const Tensor& b);

/// True if several elements of x lie in one place, as in expand()'s results.
DYGRAD_API bool has_shared_elements(const Tensor& x);

struct Range {
  std::int64_t start, stop;  // 0 <= start <= stop <= extent
};
/// start and stop of a slice as numbers within the extent: negative ones count from the back, all are clamped.
DYGRAD_API Range resolve_range(std::int64_t extent, std::int64_t start, std::int64_t stop);

}  // namespace dygrad::kernel
