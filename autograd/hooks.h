// Lists of callbacks, and the handles that remove them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <dygrad/core/export.h>

namespace dygrad {

/// Removes the hook it was given for. May outlive what the hook hangs on; removing twice is harmless. Copies are equal.
class DYGRAD_API HookHandle {
 public:
  HookHandle() = default;
  explicit HookHandle(std::function<void()> remove) : remove_(std::move(remove)) {}
  void remove() {
    if (remove_) std::exchange(remove_, nullptr)();
  }

 private:
  std::function<void()> remove_;
};

/// Callbacks in order of registration. Running them works on a copy of the list, so a hook may add or remove hooks.
template <class Function>
class HookList {
 public:
  HookHandle add(Function hook) {
    if (!entries_) entries_ = std::make_shared<Entries>();
    const std::uint64_t id = entries_->next_id++;
    entries_->list.emplace_back(id, std::make_shared<Function>(std::move(hook)));
    return HookHandle([entries = std::weak_ptr<Entries>(entries_), id] {
      if (const auto alive = entries.lock())
        std::erase_if(alive->list, [id](const auto& entry) { return entry.first == id; });
    });
  }
  bool empty() const { return !entries_ || entries_->list.empty(); }

  /// Calls use(hook) for each hook.
  template <class Use>
  void for_each(Use&& use) const {
    if (empty()) return;
    const auto list = entries_->list;
    for (const auto& [id, hook] : list) use(*hook);
  }

 private:
  struct Entries {
    std::uint64_t next_id = 0;
    std::vector<std::pair<std::uint64_t, std::shared_ptr<Function>>> list;
  };
  std::shared_ptr<Entries> entries_;
};

}  // namespace dygrad
