// What kernels must know of cache lines.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dygrad::kernel {

inline constexpr std::size_t kLine = 64;  // bytes

/// Bytes between the beginning of its line and `place`.
inline std::size_t bytes_into_line(const void* place) { return reinterpret_cast<std::uintptr_t>(place) % kLine; }

/// Software prefetch. Hardware prefetchers follow sequential lines, but not the short rows, one in each page, that make
/// up a tile. The bytes may lie beyond what exists: nothing is read.
inline void prefetch(const void* place, std::int64_t num_bytes) {
  constexpr int kToRead = 0, kLocalityL2 = 2;  // rows a power of two apart would evict each other from the first
  for (std::int64_t at = 0; at < num_bytes; at += kLine)
    __builtin_prefetch(static_cast<const std::byte*>(place) + at, kToRead, kLocalityL2);
}

}  // namespace dygrad::kernel
