#include <dygrad/core/allocator.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <new>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

// Note [How blocks are kept]
// Sizes are rounded up to a class: multiples of 64 bytes up to 1 KiB, then four classes per doubling (at most 25 %
// slack) up to 1 GiB; larger blocks are never kept. A thread keeps a few small blocks for itself, without a lock;
// everything else goes through one shared, bounded cache. A free block's first bytes hold the link to the next one of
// its class. Under the address sanitizer nothing is kept, so that it sees every use after free.

namespace dygrad::detail {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCaching = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kCaching = false;
#else
constexpr bool kCaching = true;
#endif
#else
constexpr bool kCaching = true;
#endif

constexpr std::size_t kSmallLimit = 1024;  // bytes
constexpr std::size_t kSmallClasses = kSmallLimit / kAlignment;
constexpr std::size_t kLargestLog2 = 30;
constexpr std::size_t kClasses = kSmallClasses + 4 * (kLargestLog2 - 10);
constexpr int kMostPerThread = 64;  // blocks of one small class

struct SizeClass {
  std::size_t index;
  std::size_t num_bytes;
};

/// The class that serves `num_bytes`; index kClasses means "not kept".
SizeClass size_class(std::size_t num_bytes) {
  if (num_bytes <= kSmallLimit) {
    const std::size_t index = num_bytes == 0 ? 0 : (num_bytes - 1) / kAlignment;
    return {index, (index + 1) * kAlignment};
  }
  const std::size_t log2 = static_cast<std::size_t>(std::bit_width(num_bytes - 1)) - 1;  // 2^log2 <= num_bytes-1
  const std::size_t step = std::size_t{1} << (log2 - 2);
  const std::size_t quarter = (num_bytes - 1 - (std::size_t{1} << log2)) / step;
  const std::size_t index = kSmallClasses + 4 * (log2 - 10) + quarter;
  if (index >= kClasses) return {kClasses, (num_bytes + kAlignment - 1) / kAlignment * kAlignment};
  return {index, (std::size_t{1} << log2) + (quarter + 1) * step};
}

struct FreeBlock {
  FreeBlock* next;
};

struct Shared {
  std::mutex mutex;
  std::array<FreeBlock*, kClasses> free{};
  std::int64_t limit = std::int64_t{512} << 20;
  std::atomic<std::int64_t> cached{0};
  std::atomic<std::int64_t> live{0};
  std::atomic<std::int64_t> peak{0};
  std::atomic<std::int64_t> allocations{0};
};

// Never destroyed: tensors in other static objects may outlive any order we could choose.
Shared& shared() {
  static Shared& instance = *new Shared;
  return instance;
}

void* from_system(std::size_t asked, std::size_t rounded) {
  void* block = std::aligned_alloc(kAlignment, rounded);
  if (!block && kCaching) {  // what is kept for reuse may be what is missing
    release_cached_memory();
    block = std::aligned_alloc(kAlignment, rounded);
  }
  if (!block) {
    throw OutOfMemory(Message("allocate", "the system has no memory left for this request.")
                          .line("asked for {} bytes, {} bytes are live in tensors", asked, shared().live.load())
                          .fix("use smaller tensors or batches, or drop graphs and tensors that are no longer needed"));
  }
  return block;
}

struct ThreadCache {
  std::array<FreeBlock*, kSmallClasses> free{};
  std::array<int, kSmallClasses> count{};
  ~ThreadCache();
};
// Outlives ThreadCache's destructor, so late frees on this thread can tell.
thread_local bool thread_cache_closed = false;
thread_local ThreadCache thread_cache;

ThreadCache::~ThreadCache() {
  thread_cache_closed = true;
  for (FreeBlock* block : free) {
    while (block) std::free(std::exchange(block, block->next));
  }
}

void count_live(std::int64_t num_bytes) {
  Shared& all = shared();
  const std::int64_t now = all.live.fetch_add(num_bytes, std::memory_order_relaxed) + num_bytes;
  std::int64_t peak = all.peak.load(std::memory_order_relaxed);
  while (now > peak && !all.peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

}  // namespace

void* allocate(std::size_t num_bytes) {
  const SizeClass size = size_class(num_bytes);
  Shared& all = shared();
  void* block = nullptr;
  if (kCaching && size.index < kSmallClasses && !thread_cache_closed) {
    FreeBlock*& head = thread_cache.free[size.index];
    if (head) {
      block = std::exchange(head, head->next);
      --thread_cache.count[size.index];
    }
  } else if (kCaching && size.index < kClasses) {
    const std::scoped_lock lock(all.mutex);
    FreeBlock*& head = all.free[size.index];
    if (head) {
      block = std::exchange(head, head->next);
      all.cached.fetch_sub(static_cast<std::int64_t>(size.num_bytes), std::memory_order_relaxed);
    }
  }
  if (!block) block = from_system(num_bytes, size.num_bytes);
  count_live(static_cast<std::int64_t>(size.num_bytes));
  all.allocations.fetch_add(1, std::memory_order_relaxed);
  return block;
}

void deallocate(void* pointer, std::size_t num_bytes) noexcept {
  const SizeClass size = size_class(num_bytes);
  Shared& all = shared();
  all.live.fetch_sub(static_cast<std::int64_t>(size.num_bytes), std::memory_order_relaxed);
  auto* block = static_cast<FreeBlock*>(pointer);
  if (kCaching && size.index < kSmallClasses && !thread_cache_closed) {
    int& count = thread_cache.count[size.index];
    if (count < kMostPerThread) {
      block->next = std::exchange(thread_cache.free[size.index], block);
      ++count;
      return;
    }
  } else if (kCaching && size.index >= kSmallClasses && size.index < kClasses) {
    const std::scoped_lock lock(all.mutex);
    if (all.cached.load(std::memory_order_relaxed) + static_cast<std::int64_t>(size.num_bytes) <= all.limit) {
      all.cached.fetch_add(static_cast<std::int64_t>(size.num_bytes), std::memory_order_relaxed);
      block->next = std::exchange(all.free[size.index], block);
      return;
    }
  }
  std::free(pointer);
}

}  // namespace dygrad::detail

namespace dygrad {

AllocatorStatistics allocator_statistics() {
  const detail::Shared& all = detail::shared();
  return {.live_bytes = all.live.load(),
          .peak_bytes = all.peak.load(),
          .cached_bytes = all.cached.load(),
          .allocations = all.allocations.load()};
}

void reset_peak_bytes() { detail::shared().peak.store(detail::shared().live.load()); }

void set_allocator_cache_limit(std::int64_t num_bytes) {
  {
    const std::scoped_lock lock(detail::shared().mutex);
    detail::shared().limit = num_bytes;
  }
  if (detail::shared().cached.load() > num_bytes) release_cached_memory();
}

void release_cached_memory() {
  detail::Shared& all = detail::shared();
  const std::scoped_lock lock(all.mutex);
  for (detail::FreeBlock*& head : all.free) {
    while (head) std::free(std::exchange(head, head->next));
  }
  all.cached.store(0);
}

}  // namespace dygrad
