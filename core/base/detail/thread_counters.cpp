#include <dygrad/core/base/detail/thread_counters.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <vector>

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

/// Gives a thread its page, and adds that to `ended` when the thread ends.
class PageOwner {
 public:
  PageOwner() {
    const std::scoped_lock lock(pages().mutex);
    pages().of_threads.push_back(&page_);
    counter_page = &page_;
  }
  ~PageOwner() {
    const std::scoped_lock lock(pages().mutex);
    for (std::size_t i = 0; i < kCounters; ++i) pages().ended[i] += page_[i].load(std::memory_order_relaxed);
    std::erase(pages().of_threads, &page_);
    counter_page = nullptr;
    has_ended = true;
  }
  static constinit thread_local bool has_ended;

 private:
  CounterPage page_{};
};
constinit thread_local bool PageOwner::has_ended = false;

}  // namespace

std::int64_t count_without_page(Counter what, std::int64_t change) noexcept {
  if (!PageOwner::has_ended) {
    try {
      thread_local PageOwner owner;
      return count(what, change);
    } catch (const std::bad_alloc&) {  // no page for now
    }
  }
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
