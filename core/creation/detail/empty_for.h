// A tensor for a factory to fill, whose errors name the factory.
#pragma once

#include <string_view>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

inline Tensor empty_for(std::string_view op, const Shape& shape, DType dtype) {
  try {
    return with_out_of_memory(op, [&] { return Tensor::empty(shape, dtype); });
  } catch (const ShapeError&) {
    (void)num_bytes(shape, size_of(dtype), op);  // the same error in the factory's name
    throw;
  }
}

}  // namespace dygrad::detail
