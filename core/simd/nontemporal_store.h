// Writes that go past the caches, for results that no cache can hold.
//
// Note [Non-temporal stores]
// An ordinary store first fetches the line it writes to, which for a large result means reading as much memory again as
// is written, and evicts what the caches hold. Stores of whole lines that go past the caches save both. Compilers do
// not choose them, so kernels write into a buffer in the L1 cache, as they do for strided results, and whole lines
// leave it from there.
#pragma once

#include <cstddef>

#include <dygrad/core/base/export.h>

namespace dygrad::kernel {

/// Results of fewer bytes may still be in the last-level cache when they are read.
inline constexpr std::size_t kNontemporalBytes = std::size_t{32} << 20;

/// As memcpy. Lines that are written whole go past the caches; others take the ordinary way.
DYGRAD_API void store_nontemporal(const std::byte* from, std::byte* to, std::size_t num_bytes);

/// To be called by a thread after its last store_nontemporal, before other threads may read what it wrote.
DYGRAD_API void finish_nontemporal_stores();

}  // namespace dygrad::kernel
