// Small blocks of memory, for tensors of a few elements and for the objects behind tensors and graphs. Each thread
// keeps some that it freed, so that taking one costs a few instructions and no lock.
#pragma once

#include <cstddef>

#include <dygrad/core/base/export.h>
#include <dygrad/core/memory/detail/block_cache.h>

namespace dygrad::detail {

/// Free blocks of one class. `spare` is empty or a whole batch, so that a thread which takes and gives by turns at the
/// edge of a batch does not go to the shared cache each time.
struct SmallBlockList {
  FreeBlock* first = nullptr;
  int count = 0;  // at most BlockCache::kBatch
  FreeBlock* spare = nullptr;
};
using SmallBlockLists = std::array<SmallBlockList, kSmallClasses>;

extern constinit DYGRAD_THREAD_LOCAL SmallBlockLists*
    small_blocks;  // null before this thread's first and after its last block, and under an AllocationHook
void* take_small_block_slowly(std::size_t index);
void give_small_block_slowly(void* block, std::size_t index) noexcept;

/// True while an AllocationHook is installed on this thread.
bool has_allocation_hook() noexcept;
/// Throws OutOfMemory if this thread's AllocationHook, where there is one, does not allow the allocation.
void ask_allocation_hook(std::size_t num_bytes);
void release_small_blocks() noexcept;  ///< all that this thread keeps

inline bool has_small_block(std::size_t index) { return small_blocks && (*small_blocks)[index].first; }

/// Only if has_small_block(index).
inline void* pop_small_block(std::size_t index) {
  SmallBlockList& list = (*small_blocks)[index];
  FreeBlock* block = list.first;
  list.first = block->next;
  --list.count;
  return block;
}

/// A block of (index + 1) * kAlignment bytes. Throws OutOfMemory.
inline void* take_small_block(std::size_t index) {
  return has_small_block(index) ? pop_small_block(index) : take_small_block_slowly(index);
}

inline void give_small_block(void* pointer, std::size_t index) noexcept {
  if (!small_blocks || (*small_blocks)[index].count == BlockCache::kBatch)
    return give_small_block_slowly(pointer, index);
  SmallBlockList& list = (*small_blocks)[index];
  auto* block = static_cast<FreeBlock*>(pointer);
  block->next = list.first;
  list.first = block;
  ++list.count;
}

}  // namespace dygrad::detail
