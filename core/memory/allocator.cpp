#include <dygrad/core/memory/allocator.h>

#include <atomic>

#include <dygrad/core/base/detail/thread_counters.h>
#include <dygrad/core/memory/detail/block_cache.h>
#include <dygrad/core/memory/detail/small_blocks.h>

namespace dygrad {

namespace detail {

namespace {

constinit std::atomic<std::int64_t> peak{0};

void note_peak() noexcept {
  const std::int64_t now = total(Counter::live_bytes);
  std::int64_t highest = peak.load(std::memory_order_relaxed);
  while (now > highest && !peak.compare_exchange_weak(highest, now, std::memory_order_relaxed)) {
  }
}

constinit std::atomic<void (*)()> release_workspace{nullptr};

constexpr int kLog2BetweenLooks = 16;  // bytes: small blocks are too many to look at the peak for each

// What the first and last ops of a thread need, and one op in a thousand. Out of line, so that the others save no
// registers.
[[gnu::noinline]] void* allocate_small_slowly(std::size_t index) {
  void* block = take_small_block(index);
  count(Counter::live_bytes, static_cast<std::int64_t>((index + 1) * kAlignment));
  count(Counter::allocations, 1);
  note_peak();
  return block;
}

void* allocate_large(std::size_t num_bytes) {
  ask_allocation_hook(num_bytes);
  const SizeClass size = size_class(num_bytes);
  void* block = block_cache().take(size);
  if (!block) block = system_block(num_bytes, size.num_bytes);
  count(Counter::live_bytes, static_cast<std::int64_t>(size.num_bytes));
  count(Counter::allocations, 1);
  note_peak();
  return block;
}

void deallocate_large(void* block, std::size_t num_bytes) noexcept {
  const SizeClass size = size_class(num_bytes);
  count(Counter::live_bytes, -static_cast<std::int64_t>(size.num_bytes));
  block_cache().give(block, size);
}

constexpr std::size_t small_class_or_first(std::size_t num_bytes) {
  return num_bytes == 0 ? 0 : small_class(num_bytes);
}

}  // namespace

void* allocate(std::size_t num_bytes) {
  if (num_bytes > kSmallLimit) return allocate_large(num_bytes);
  const std::size_t index = small_class_or_first(num_bytes);
  CounterPage* const page = counter_page;
  if (!page || !has_small_block(index)) return allocate_small_slowly(index);
  const auto change = static_cast<std::int64_t>((index + 1) * kAlignment);
  const std::int64_t live = count_on(*page, Counter::live_bytes, change);
  count_on(*page, Counter::allocations, 1);
  if ((live >> kLog2BetweenLooks) != ((live - change) >> kLog2BetweenLooks)) note_peak();
  return pop_small_block(index);
}

void deallocate(void* block, std::size_t num_bytes) noexcept {
  if (num_bytes > kSmallLimit) return deallocate_large(block, num_bytes);
  const std::size_t index = small_class_or_first(num_bytes);
  count(Counter::live_bytes, -static_cast<std::int64_t>((index + 1) * kAlignment));
  give_small_block(block, index);
}

void on_release_cached_memory(void (*release)()) { release_workspace.store(release, std::memory_order_release); }

}  // namespace detail

AllocatorStatistics allocator_statistics() {
  detail::note_peak();
  return {.live_bytes = detail::total(detail::Counter::live_bytes),
          .peak_bytes = detail::peak.load(),
          .cached_bytes = detail::block_cache().num_bytes(),
          .allocations = detail::total(detail::Counter::allocations)};
}

void reset_peak_bytes() { detail::peak.store(detail::total(detail::Counter::live_bytes)); }

void set_allocator_cache_limit(std::int64_t num_bytes) { detail::block_cache().set_limit(num_bytes); }

void release_cached_memory() {
  if (void (*const release)() = detail::release_workspace.load(std::memory_order_acquire)) release();
  detail::release_to_system();
}

}  // namespace dygrad
