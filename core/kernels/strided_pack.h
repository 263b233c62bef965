// Copies blocks of strided elements into dense rows and back, whatever the elements mean. For kernels that work on
// dense memory only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dygrad::kernel {

/// rows x columns elements in memory; strides are in elements and may be 0 (repeated) or negative.
struct StridedBlock {
  std::byte* data;
  std::size_t element_size;  // 1, 4 or 8
  std::int64_t rows, columns;
  std::int64_t row_stride, column_stride;
};

/// Writes the block's rows one after the other to `dense`.
void pack(const StridedBlock& block, std::byte* dense);
/// Writes rows from `dense` into the block.
void unpack(const std::byte* dense, const StridedBlock& block);

}  // namespace dygrad::kernel
