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
  void remove();

 private:
  std::function<void()> remove_;
};

namespace detail {
/// A HookList that has forgotten the type of its callbacks, so that its code is compiled once.
class DYGRAD_API ErasedHookList {
 public:
  using Hook = std::shared_ptr<const void>;
  HookHandle add(Hook hook);
  bool empty() const;
  std::vector<Hook> copy() const;

 private:
  struct Entries;
  std::shared_ptr<Entries> entries_;
};
}  // namespace detail

/// Callbacks in order of registration. Running them works on a copy of the list, so a hook may add or remove hooks.
template <class Function>
class HookList {
 public:
  HookHandle add(Function hook) { return erased_.add(std::make_shared<Function>(std::move(hook))); }
  bool empty() const { return erased_.empty(); }

  /// Calls use(hook) for each hook.
  template <class Use>
  void for_each(Use&& use) const {
    if (empty()) return;
    for (const auto& hook : erased_.copy()) use(*static_cast<const Function*>(hook.get()));
  }

 private:
  detail::ErasedHookList erased_;
};

}  // namespace dygrad
