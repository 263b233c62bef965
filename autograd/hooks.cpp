#include <dygrad/autograd/hooks.h>

namespace dygrad {

void HookHandle::remove() {
  if (remove_) std::exchange(remove_, nullptr)();
}

namespace detail {

struct ErasedHookList::Entries {
  struct Entry {
    std::uint64_t id;
    Hook hook;
  };
  std::uint64_t next_id = 0;
  std::vector<Entry> list;
};

HookHandle ErasedHookList::add(Hook hook) {
  if (!entries_) entries_ = std::make_shared<Entries>();
  const std::uint64_t id = entries_->next_id++;
  entries_->list.push_back({id, std::move(hook)});
  return HookHandle([entries = std::weak_ptr<Entries>(entries_), id] {
    if (const auto alive = entries.lock())
      std::erase_if(alive->list, [id](const Entries::Entry& entry) { return entry.id == id; });
  });
}

bool ErasedHookList::empty() const { return !entries_ || entries_->list.empty(); }

std::vector<ErasedHookList::Hook> ErasedHookList::copy() const {
  std::vector<Hook> hooks;
  if (entries_) {
    for (const Entries::Entry& entry : entries_->list) hooks.push_back(entry.hook);
  }
  return hooks;
}

}  // namespace detail

}  // namespace dygrad
