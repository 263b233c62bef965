#include <dygrad/core/memory/detail/block_cache.h>

#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

#include <dygrad/core/base/detail/thread_counters.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/memory/detail/small_blocks.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dygrad::detail {

SizeClass size_class(std::size_t num_bytes) noexcept {
  if (num_bytes <= kSmallLimit) {
    const std::size_t index = num_bytes == 0 ? 0 : small_class(num_bytes);
    return {index, (index + 1) * kAlignment};
  }
  const std::size_t log2 = static_cast<std::size_t>(std::bit_width(num_bytes - 1)) - 1;  // 2^log2 <= num_bytes-1
  const std::size_t step = std::size_t{1} << (log2 - 2);
  const std::size_t quarter = (num_bytes - 1 - (std::size_t{1} << log2)) / step;
  const std::size_t index = kSmallClasses + 4 * (log2 - 10) + quarter;
  if (index >= kClasses) return {kClasses, (num_bytes + kAlignment - 1) / kAlignment * kAlignment};
  return {index, (std::size_t{1} << log2) + (quarter + 1) * step};
}

void* BlockCache::take(SizeClass size) noexcept {
  if (!kCaching || size.index >= kClasses) return nullptr;
  const std::scoped_lock lock(mutex_);
  FreeBlock*& head = free_[size.index];
  if (!head) return nullptr;
  num_bytes_.fetch_sub(static_cast<std::int64_t>(size.num_bytes), std::memory_order_relaxed);
  return std::exchange(head, head->next);
}

void BlockCache::give(void* block, SizeClass size) noexcept {
  if (kCaching && size.index < kClasses) {
    const std::scoped_lock lock(mutex_);
    if (reserve(static_cast<std::int64_t>(size.num_bytes))) {
      auto* free = static_cast<FreeBlock*>(block);
      free->next = std::exchange(free_[size.index], free);
      return;
    }
  }
  std::free(block);
}

FreeBlock* BlockCache::take_batch(std::size_t index) noexcept {
  const std::scoped_lock lock(mutex_);
  FreeBlock*& head = free_[index];
  if (!head) return nullptr;
  num_bytes_.fetch_sub(static_cast<std::int64_t>(kBatch * (index + 1) * kAlignment), std::memory_order_relaxed);
  return std::exchange(head, head->next_batch);
}

void BlockCache::give_batch(FreeBlock* batch, std::size_t index) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    if (reserve(static_cast<std::int64_t>(kBatch * (index + 1) * kAlignment))) {
      batch->next_batch = std::exchange(free_[index], batch);
      return;
    }
  }
  free_list(batch);
}

bool BlockCache::reserve(std::int64_t num_bytes) noexcept {
  if (num_bytes_.load(std::memory_order_relaxed) + num_bytes > limit_) return false;
  num_bytes_.fetch_add(num_bytes, std::memory_order_relaxed);
  return true;
}

void BlockCache::release() noexcept {
  const std::scoped_lock lock(mutex_);
  for (std::size_t i = 0; i < kClasses; ++i) {
    FreeBlock* list = std::exchange(free_[i], nullptr);
    if (i < kSmallClasses) {
      while (list) free_list(std::exchange(list, list->next_batch));
    } else {
      free_list(list);
    }
  }
  num_bytes_.store(0, std::memory_order_relaxed);
}

void BlockCache::set_limit(std::int64_t num_bytes) noexcept {
  {
    const std::scoped_lock lock(mutex_);
    limit_ = num_bytes;
  }
  if (this->num_bytes() > num_bytes) release();
}

// Never destroyed: tensors in other static objects may outlive any order we could choose.
// Its memory is static, as the first allocation of a process may be the one that fails.
BlockCache& block_cache() noexcept {
  alignas(BlockCache) static std::byte memory[sizeof(BlockCache)];
  static BlockCache& instance = *new (memory) BlockCache;
  return instance;
}

namespace {

// Note [Huge pages]
// A processor that streams through a large block looks up every page of it, under a hypervisor twice; Linux' huge pages
// of 2 MiB make that, and the first touch, many times rarer. Smaller blocks fit what the processor remembers of pages;
// pages that a block fills in part stay small, for they would waste memory.
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kHugeBlock = 8 * kHugePage;  // bytes; the least that is worth it

void* aligned_block([[maybe_unused]] std::size_t asked, std::size_t num_bytes) noexcept {
#if defined(__linux__)
  if (asked >= kHugeBlock) {
    void* block = std::aligned_alloc(kHugePage, (num_bytes + kHugePage - 1) / kHugePage * kHugePage);
    if (block)
      madvise(block, asked / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: without it all works, only slower
    return block;
  }
#endif
  return std::aligned_alloc(kAlignment, num_bytes);
}

}  // namespace

void* system_block(std::size_t asked, std::size_t num_bytes) {
  void* block = aligned_block(asked, num_bytes);
  if (!block && kCaching) {  // what is kept for reuse may be what is missing
    release_to_system();
    block = aligned_block(asked, num_bytes);
  }
  if (!block) fail_out_of_memory(asked);
  return block;
}

void fail_out_of_memory(std::size_t asked) { fail_out_of_memory("allocate", asked); }

void release_to_system() noexcept {
  release_small_blocks();
  block_cache().release();
#if defined(__GLIBC__)
  // Small blocks are freed in the middle of its heap, which it does not look through by itself. Under the address
  // sanitizer that heap is another one, and glibc's was never set up.
  if (kCaching) malloc_trim(0);
#endif
}

void free_list(FreeBlock* first) noexcept {
  while (first) std::free(std::exchange(first, first->next));
}

}  // namespace dygrad::detail
