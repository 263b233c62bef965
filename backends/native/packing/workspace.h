// Scratch memory of one call, and the leading dimensions of what lies in it.
#pragma once

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/native/packing/bf16_packing.h>
#include <dygrad/core/memory/detail/block_cache.h>

namespace dygrad::native {

/// A leading dimension for rows of at least so many elements: an odd number of cache lines, so that rows do not map to
/// the same cache sets.
template <class T>
std::int64_t padded_leading_dim(std::int64_t columns) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  return ((columns + kLine - 1) / kLine | 1) * kLine;
}

/// Elements of the fewest whole cache lines that hold so many.
template <class T>
std::int64_t round_up_to_lines(std::int64_t size) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  return ceil_div(size, kLine) * kLine;
}

/// Scratch memory of `size` elements for each chunk of work. It is allocated in few sizes, so that layers of all sizes
/// share it; what a layer does not use is never touched, and takes no memory.
template <class T>
class Workspace {
 public:
  Workspace(std::int64_t chunks, std::int64_t size)
      : stride_(round_up_to_lines<T>(size)), memory_(empty_packed<T>(shared_size(chunks * stride_))) {}
  T* of_chunk(std::int64_t chunk) const { return memory_.template mutable_data<T>() + chunk * stride_; }

 private:
  static std::int64_t shared_size(std::int64_t size) {
    constexpr std::int64_t kMin = (18 << 16) / sizeof(T), kStep = 4;  // 18 MiB hold most blocks of two threads
    if (size < kMin || !detail::kCaching) return size;                // the address sanitizer sees where a block ends
    std::int64_t shared = kMin;
    while (shared < size) shared *= kStep;
    return shared;
  }

  std::int64_t stride_;
  Tensor memory_;
};

}  // namespace dygrad::native
