#include <dygrad/autograd/hooks.h>

#include <map>
#include <mutex>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/mutex.h>
#include <dygrad/core/base/ref.h>

namespace dygrad {

void HookHandle::remove() {
  if (remove_) std::exchange(remove_, nullptr)();
}

namespace detail {

/// Shared by the list and the handles of its hooks; the list's destructor clears it.
struct ErasedHookList::Entries final : RefCounted {
  using ById = std::map<std::uint64_t, Hook>;

  mutable Mutex lock;
  ById by_id;  // in order of registration
  std::uint64_t next_id = 0;
  std::atomic<bool> is_empty{true};

  std::uint64_t make_id() {
    const std::scoped_lock guard(lock);
    return next_id++;
  }
  void add(std::uint64_t id, Hook hook) {
    const std::scoped_lock guard(lock);
    by_id.emplace(id, std::move(hook));
    is_empty.store(false, std::memory_order_release);
  }
  // What a hook holds goes after the lock: its destructor may remove other hooks.
  void remove(std::uint64_t id) {
    ById::node_type removed;
    const std::scoped_lock guard(lock);
    removed = by_id.extract(id);
    is_empty.store(by_id.empty(), std::memory_order_release);
  }
  void clear() {
    ById removed;
    const std::scoped_lock guard(lock);
    std::swap(removed, by_id);
    is_empty.store(true, std::memory_order_release);
  }
  std::vector<Hook> copy() const {
    std::vector<Hook> hooks;
    const std::scoped_lock guard(lock);
    hooks.reserve(by_id.size());
    for (const auto& [id, hook] : by_id) hooks.push_back(hook);
    return hooks;
  }
};

ErasedHookList::~ErasedHookList() {
  const Ref<Entries> last = Ref<Entries>::adopt(entries_.load(std::memory_order_acquire));
  if (last) last->clear();
}

/// Threads may race to make the entries: the first one's stay.
ErasedHookList::Entries& ErasedHookList::make_entries() {
  Entries* made = entries_.load(std::memory_order_acquire);
  if (made) return *made;
  Ref<Entries> mine = make_ref<Entries>();
  if (entries_.compare_exchange_strong(made, mine.get(), std::memory_order_acq_rel)) made = mine.detach();
  return *made;
}

HookHandle ErasedHookList::add(Hook hook) {
  Entries& entries = make_entries();
  const std::uint64_t id = entries.make_id();
  HookHandle handle([kept = Ref<Entries>(&entries), id] { kept->remove(id); });  // first: it allocates
  entries.add(id, std::move(hook));
  return handle;
}

bool ErasedHookList::empty() const {
  const Entries* entries = entries_.load(std::memory_order_acquire);
  return !entries || entries->is_empty.load(std::memory_order_acquire);
}

std::vector<ErasedHookList::Hook> ErasedHookList::copy() const {
  const Entries* entries = entries_.load(std::memory_order_acquire);
  return entries ? entries->copy() : std::vector<Hook>();
}

void fail_empty_hook(std::string_view op) {
  throw InvalidArgument(Message(op, "the hook is an empty function.")
                            .expected("something to call")
                            .got("an empty std::function")
                            .fix("give a lambda or a function; remove a hook by its handle"));
}

}  // namespace detail

}  // namespace dygrad
