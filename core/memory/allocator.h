// Memory for tensors: 64-byte aligned, counted, and kept for reuse in size classes.
#pragma once

#include <cstddef>
#include <cstdint>

#include <dygrad/core/base/export.h>

namespace dygrad {

inline constexpr std::size_t kAlignment = 64;  // bytes; one cache line, one AVX-512 register

/// What the allocator has done so far in this process. Sizes in bytes.
struct AllocatorStatistics {
  std::int64_t live_bytes = 0;    ///< handed out and not yet returned
  std::int64_t peak_bytes = 0;    ///< largest live_bytes since the start or the last reset_peak_bytes(), to 64 KiB
  std::int64_t cached_bytes = 0;  ///< returned, and kept for reuse
  std::int64_t allocations = 0;   ///< calls that were served so far
};
DYGRAD_API AllocatorStatistics allocator_statistics();
DYGRAD_API void reset_peak_bytes();

/// Most bytes kept for reuse in the shared cache; more go back to the system at once; 0 or less keeps none.
/// Default 512 MiB. Besides, each
/// thread keeps at most 1 MiB of small blocks.
DYGRAD_API void set_allocator_cache_limit(std::int64_t num_bytes);

/// Returns to the system what is kept for reuse: the shared cache, this thread's small blocks and the workspace of its
/// last backward pass; with glibc, also what that keeps itself. Other threads keep theirs: at most 1 MiB of small
/// blocks and 1 MiB of workspace each, until they call this too or end. Compiled primitives and choices of algorithms
/// stay. Safe at any time, from any thread. Takes milliseconds.
DYGRAD_API void release_cached_memory();

namespace detail {
/// Lets every release_cached_memory() call release(), which gives back the workspace of backward passes, on its own
/// thread. Core knows none of them. For autograd's .cpp files.
void on_release_cached_memory(void (*release)());

/// At least `num_bytes` bytes, aligned to kAlignment. Throws OutOfMemory naming the size. Thread-safe.
DYGRAD_API void* allocate(std::size_t num_bytes);
/// `num_bytes` as passed to `allocate`. Any thread may return any block.
DYGRAD_API void deallocate(void* block, std::size_t num_bytes) noexcept;
}  // namespace detail

}  // namespace dygrad
