#include <dygrad/core/allocator.h>

#include <atomic>

#include <dygrad/core/block_cache.h>
#include <dygrad/core/small_blocks.h>
#include <dygrad/core/tally.h>

namespace dygrad {

namespace detail {

namespace {

constinit std::atomic<std::int64_t> peak{0};

void note_peak() noexcept {
  const std::int64_t now = total(Tally::live_bytes);
  std::int64_t highest = peak.load(std::memory_order_relaxed);
  while (now > highest && !peak.compare_exchange_weak(highest, now, std::memory_order_relaxed)) {
  }
}

/// Small blocks are too many to look at the peak for each; it is enough to do so now and then.
void count_small_block(std::size_t num_bytes) noexcept {
  constexpr int kLog2BetweenLooks = 16;
  const auto change = static_cast<std::int64_t>(num_bytes);
  const std::int64_t now = count(Tally::live_bytes, change);
  if ((now >> kLog2BetweenLooks) != ((now - change) >> kLog2BetweenLooks)) note_peak();
}

}  // namespace

void* allocate(std::size_t num_bytes) {
  void* block = nullptr;
  if (num_bytes <= kSmallLimit) {
    const std::size_t index = num_bytes == 0 ? 0 : small_class(num_bytes);
    block = take_small_block(index);
    count_small_block((index + 1) * kAlignment);
  } else {
    const SizeClass size = size_class(num_bytes);
    block = block_cache().take(size);
    if (!block) block = system_block(num_bytes, size.num_bytes);
    count(Tally::live_bytes, static_cast<std::int64_t>(size.num_bytes));
    note_peak();
  }
  count(Tally::allocations, 1);
  return block;
}

void deallocate(void* block, std::size_t num_bytes) noexcept {
  const SizeClass size = size_class(num_bytes);
  count(Tally::live_bytes, -static_cast<std::int64_t>(size.num_bytes));
  if (size.index < kSmallClasses) give_small_block(block, size.index);
  else block_cache().give(block, size);
}

}  // namespace detail

AllocatorStatistics allocator_statistics() {
  detail::note_peak();
  return {.live_bytes = detail::total(detail::Tally::live_bytes),
          .peak_bytes = detail::peak.load(),
          .cached_bytes = detail::block_cache().num_bytes(),
          .allocations = detail::total(detail::Tally::allocations)};
}

void reset_peak_bytes() { detail::peak.store(detail::total(detail::Tally::live_bytes)); }

void set_allocator_cache_limit(std::int64_t num_bytes) { detail::block_cache().set_limit(num_bytes); }

void release_cached_memory() { detail::block_cache().release(); }

}  // namespace dygrad
