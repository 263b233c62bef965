#include <dygrad/core/memory/detail/small_blocks.h>

#include <cstdlib>
#include <utility>

#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/ref.h>
#include <dygrad/core/memory/detail/allocation_hook.h>

namespace dygrad::detail {

constinit DYGRAD_THREAD_LOCAL SmallBlockLists* small_blocks = nullptr;

namespace {

constinit thread_local SmallBlockLists lists{};

void end_lists() noexcept {
  small_blocks = nullptr;
  for (std::size_t i = 0; i < kSmallClasses; ++i) {
    SmallBlockList list = std::exchange(lists[i], {});
    free_list(list.first);
    if (list.spare) block_cache().give_batch(list.spare, i);
  }
}

/// False if this thread keeps no blocks: under the address sanitizer, and where they could not end with the thread.
bool ensure_lists() noexcept {
  static constinit thread_local ThreadExit exit{end_lists};
  if (!kCaching || !at_thread_exit(exit)) return false;
  small_blocks = &lists;
  return true;
}

constinit DYGRAD_THREAD_LOCAL AllocationHook* allocation_hook = nullptr;
constinit DYGRAD_THREAD_LOCAL SmallBlockLists* hidden_blocks = nullptr;  // small_blocks, while a hook is asked instead

}  // namespace

// Hiding the thread's lists sends every allocation through the slow functions, so that the fast path asks nobody.
AllocationHook::AllocationHook() {
  allocation_hook = this;
  hidden_blocks = std::exchange(small_blocks, nullptr);
}

AllocationHook::~AllocationHook() {
  allocation_hook = nullptr;
  small_blocks = std::exchange(hidden_blocks, nullptr);
}

bool has_allocation_hook() noexcept { return allocation_hook != nullptr; }

void ask_allocation_hook(std::size_t num_bytes) {
  if (allocation_hook && !allocation_hook->allows(num_bytes)) fail_out_of_memory(num_bytes);
}

void* take_small_block_slowly(std::size_t index) {
  const std::size_t num_bytes = (index + 1) * kAlignment;
  ask_allocation_hook(num_bytes);
  if (has_allocation_hook() || !ensure_lists()) return system_block(num_bytes, num_bytes);
  SmallBlockList& list = (*small_blocks)[index];
  FreeBlock* batch = list.spare ? std::exchange(list.spare, nullptr) : block_cache().take_batch(index);
  if (!batch) return system_block(num_bytes, num_bytes);
  list.first = batch->next;
  list.count = BlockCache::kBatch - 1;
  return batch;
}

void give_small_block_slowly(void* block, std::size_t index) noexcept {
  if (has_allocation_hook() || !ensure_lists()) return std::free(block);
  SmallBlockList& list = (*small_blocks)[index];
  if (list.count == BlockCache::kBatch) {
    if (list.spare) block_cache().give_batch(list.spare, index);
    list.spare = std::exchange(list.first, nullptr);
    list.count = 0;
  }
  give_small_block(block, index);
}

void release_small_blocks() noexcept {
  if (!small_blocks) return;
  for (SmallBlockList& list : *small_blocks) {
    free_list(std::exchange(list.first, nullptr));
    free_list(std::exchange(list.spare, nullptr));
    list.count = 0;
  }
}

void* allocate_object(std::size_t num_bytes) {
  if (num_bytes > kSmallLimit) {
    ask_allocation_hook(num_bytes);
    return system_block(num_bytes, (num_bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  return take_small_block(small_class(num_bytes));
}

void deallocate_object(void* object, std::size_t num_bytes) noexcept {
  if (num_bytes > kSmallLimit) return std::free(object);
  give_small_block(object, small_class(num_bytes));
}

}  // namespace dygrad::detail
