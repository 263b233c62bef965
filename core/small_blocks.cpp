#include <dygrad/core/small_blocks.h>

#include <cstdlib>
#include <utility>

#include <dygrad/core/ref.h>

namespace dygrad::detail {

constinit DYGRAD_THREAD_LOCAL SmallBlockLists* small_blocks = nullptr;

namespace {

class ListsOwner {
 public:
  ListsOwner() { small_blocks = &lists_; }
  ~ListsOwner() {
    small_blocks = nullptr;
    has_ended = true;
    for (std::size_t i = 0; i < kSmallClasses; ++i) {
      free_list(lists_[i].first);
      if (lists_[i].spare) block_cache().give_batch(lists_[i].spare, i);
    }
  }
  static constinit thread_local bool has_ended;

 private:
  SmallBlockLists lists_{};
};
constinit thread_local bool ListsOwner::has_ended = false;

/// False if this thread keeps no blocks: at its end, and under the address sanitizer.
bool ensure_lists() noexcept {
  if (!kCaching || ListsOwner::has_ended) return false;
  thread_local ListsOwner owner;
  return true;
}

}  // namespace

void* take_small_block_slowly(std::size_t index) {
  const std::size_t num_bytes = (index + 1) * kAlignment;
  if (!ensure_lists()) return system_block(num_bytes, num_bytes);
  SmallBlockList& list = (*small_blocks)[index];
  FreeBlock* batch = list.spare ? std::exchange(list.spare, nullptr) : block_cache().take_batch(index);
  if (!batch) return system_block(num_bytes, num_bytes);
  list.first = batch->next;
  list.count = BlockCache::kBatch - 1;
  return batch;
}

void give_small_block_slowly(void* block, std::size_t index) noexcept {
  if (!ensure_lists()) return std::free(block);
  SmallBlockList& list = (*small_blocks)[index];
  if (list.count == BlockCache::kBatch) {
    if (list.spare) block_cache().give_batch(list.spare, index);
    list.spare = std::exchange(list.first, nullptr);
    list.count = 0;
  }
  give_small_block(block, index);
}

void* allocate_object(std::size_t num_bytes) {
  if (num_bytes > kSmallLimit) return system_block(num_bytes, (num_bytes + kAlignment - 1) / kAlignment * kAlignment);
  return take_small_block(small_class(num_bytes));
}

void deallocate_object(void* object, std::size_t num_bytes) noexcept {
  if (num_bytes > kSmallLimit) return std::free(object);
  give_small_block(object, small_class(num_bytes));
}

}  // namespace dygrad::detail
