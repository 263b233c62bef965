// BlockCache: free blocks of memory that all threads share, sorted by size, and bounded. For the allocator.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <dygrad/core/memory/allocator.h>

namespace dygrad::detail {

// Under the address sanitizer nothing is kept, so that it sees every use after free.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kCaching = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kCaching = false;
#else
inline constexpr bool kCaching = true;
#endif
#else
inline constexpr bool kCaching = true;
#endif

// Note [Size classes]
// Sizes are rounded up to a class: multiples of 64 bytes up to 1 KiB, the small ones; then four classes per doubling
// (at most 25 % slack) up to 1 GiB. Larger blocks are never kept.
inline constexpr std::size_t kSmallLimit = 1024;  // bytes
inline constexpr std::size_t kSmallClasses = kSmallLimit / kAlignment;
inline constexpr std::size_t kLargestLog2 = 30;
inline constexpr std::size_t kClasses = kSmallClasses + 4 * (kLargestLog2 - 10);

struct SizeClass {
  std::size_t index;
  std::size_t num_bytes;
};

/// The class that serves `num_bytes` > 0 up to kSmallLimit.
constexpr std::size_t small_class(std::size_t num_bytes) { return (num_bytes - 1) / kAlignment; }
/// The class that serves `num_bytes`; index kClasses means "not kept".
SizeClass size_class(std::size_t num_bytes) noexcept;

/// The first bytes of a free block.
struct FreeBlock {
  FreeBlock* next;        // of the same list
  FreeBlock* next_batch;  // of a batch's first block, while the cache has it
};

/// Thread-safe. Small blocks come and go in batches of kBatch, so that a thread takes the lock once for many.
class BlockCache {
 public:
  static constexpr int kBatch = 32;

  /// Null if there is none.
  void* take(SizeClass size) noexcept;
  /// Keeps the block, or returns it to the system if the cache is full.
  void give(void* block, SizeClass size) noexcept;
  /// A list of kBatch blocks, or null.
  FreeBlock* take_batch(std::size_t index) noexcept;
  void give_batch(FreeBlock* batch, std::size_t index) noexcept;

  void release() noexcept;
  void set_limit(std::int64_t num_bytes) noexcept;
  std::int64_t num_bytes() const noexcept { return num_bytes_.load(std::memory_order_relaxed); }

 private:
  bool reserve(std::int64_t num_bytes) noexcept;

  std::mutex mutex_;
  std::array<FreeBlock*, kClasses> free_{};  // single blocks, or for small classes batches
  std::int64_t limit_ = std::int64_t{512} << 20;
  std::atomic<std::int64_t> num_bytes_{0};
};

BlockCache& block_cache() noexcept;

/// A block from the system, aligned to kAlignment; `asked` is for the message. Throws OutOfMemory.
void* system_block(std::size_t asked, std::size_t num_bytes);
[[noreturn]] void fail_out_of_memory(std::size_t asked);
void free_list(FreeBlock* first) noexcept;
/// Everything that the allocator keeps for all threads and for this one.
void release_to_system() noexcept;

}  // namespace dygrad::detail
