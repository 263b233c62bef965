#include <dygrad/core/base/detail/thread_counters.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <dygrad/core/base/detail/per_thread.h>

namespace dygrad::detail {

constinit DYGRAD_THREAD_LOCAL CounterPage* counter_page = nullptr;

namespace {

struct Pages {
  std::mutex mutex;
  std::vector<const CounterPage*> of_threads;
  CounterPage ended{};  // what ended threads left
};

// Never destroyed: threads and static objects may end after us. Needs no memory, which may be what is missing.
Pages& pages() noexcept {
  alignas(Pages) static std::byte memory[sizeof(Pages)];
  static Pages& instance = *new (memory) Pages;
  return instance;
}

/// Adds this thread's page to `ended`.
void end_page() noexcept {
  const std::unique_ptr<CounterPage> page(std::exchange(counter_page, nullptr));
  const std::scoped_lock lock(pages().mutex);
  for (std::size_t i = 0; i < kCounters; ++i) pages().ended[i] += (*page)[i].load(std::memory_order_relaxed);
  std::erase(pages().of_threads, page.get());
}

/// False if there is no memory for one.
bool make_page() noexcept {
  static constinit thread_local ThreadExit exit{end_page};
  try {
    auto page = std::make_unique<CounterPage>();
    const std::scoped_lock lock(pages().mutex);
    pages().of_threads.push_back(page.get());
    if (!at_thread_exit(exit)) {
      pages().of_threads.pop_back();
      return false;
    }
    counter_page = page.release();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace

std::int64_t count_without_page(Counter what, std::int64_t change) noexcept {
  if (make_page()) return count(what, change);
  return pages().ended[static_cast<std::size_t>(what)] += change;
}

std::int64_t total(Counter what) noexcept {
  const auto i = static_cast<std::size_t>(what);
  const std::scoped_lock lock(pages().mutex);
  std::int64_t sum = pages().ended[i].load(std::memory_order_relaxed);
  for (const CounterPage* page : pages().of_threads) sum += (*page)[i].load(std::memory_order_relaxed);
  return sum;
}

}  // namespace dygrad::detail
