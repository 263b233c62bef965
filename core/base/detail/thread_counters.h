// Counts that every thread changes all the time: each thread keeps its own, and whoever asks adds them up. A locked
// instruction on one shared count would cost as much as the rest of a small op, and more with several threads.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

enum class Counter : std::uint8_t {
  live_bytes,   // of tensors, as rounded by the allocator
  allocations,  // of tensor memory, so far
  live_nodes,   // of recorded graphs
};
inline constexpr std::size_t kCounters = 3;

/// One thread's counts. Only that thread writes, so a plain load and store will do; atomic because others read.
using CounterPage = std::array<std::atomic<std::int64_t>, kCounters>;

extern constinit DYGRAD_API DYGRAD_THREAD_LOCAL
    CounterPage* counter_page;  // null before this thread's first count and after its last
DYGRAD_API std::int64_t count_without_page(Counter what, std::int64_t change) noexcept;

inline std::int64_t count_on(CounterPage& page, Counter what, std::int64_t change) noexcept {
  auto& mine = page[static_cast<std::size_t>(what)];
  const std::int64_t now = mine.load(std::memory_order_relaxed) + change;
  mine.store(now, std::memory_order_relaxed);
  return now;
}

/// Adds `change` to this thread's count and returns it; one thread's count may be negative.
inline std::int64_t count(Counter what, std::int64_t change) noexcept {
  if (!counter_page) return count_without_page(what, change);
  return count_on(*counter_page, what, change);
}

/// The sum over all threads, those that ended included. Exact if no other thread counts meanwhile.
DYGRAD_API std::int64_t total(Counter what) noexcept;

}  // namespace dygrad::detail
