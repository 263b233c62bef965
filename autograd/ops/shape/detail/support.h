// What several of the shape ops need.
#pragma once

#include <string_view>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// The memory format of x, row-major where it has none.
inline MemoryFormat format_of(const Tensor& x) { return x.memory_format().value_or(MemoryFormat::row_major); }

/// Fills what lies before `start` and from `stop` on along an axis; returns the part between.
Tensor fill_around(const Tensor& x, int axis, std::int64_t start, std::int64_t stop, double value);

/// Throws ShapeError unless x has room for one more dimension.
void check_room(std::string_view op, const Tensor& x);

}  // namespace dygrad::detail
