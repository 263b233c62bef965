// Lists of callbacks, and the handles that remove them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/core/base/export.h>

namespace dygrad {

/// Removes the hook it was given for. May outlive the tensor or layer; removing twice is harmless. Copies refer to the
/// same hook.
/// A pass of another thread that is running meanwhile may still call it.
class DYGRAD_API HookHandle {
 public:
  HookHandle() = default;
  explicit HookHandle(std::function<void()> remove) : remove_(std::move(remove)) {}
  void remove();

 private:
  std::function<void()> remove_;
};

namespace detail {
/// A HookList that has forgotten the type of its callbacks, so that its code is compiled once. Thread-safe; adding and
/// removing take logarithmic time.
class DYGRAD_API ErasedHookList {
 public:
  using Hook = std::shared_ptr<const void>;
  ErasedHookList() = default;
  ErasedHookList(const ErasedHookList&) = delete;
  ErasedHookList& operator=(const ErasedHookList&) = delete;
  ~ErasedHookList();
  HookHandle add(Hook hook);
  bool empty() const;
  std::vector<Hook> copy() const;

 private:
  struct Entries;
  Entries& make_entries();
  std::atomic<Entries*> entries_{nullptr};  // owned; null before the first hook
};

[[noreturn]] DYGRAD_API void fail_empty_hook(std::string_view op);
}  // namespace detail

/// Callbacks in order of registration. Running them works on a copy of the list, so a hook may add or remove hooks, and
/// so may other threads.
template <class Function>
class HookList {
 public:
  /// Throws InvalidArgument, in the name of `op`, if the hook is an empty function.
  HookHandle add(Function hook, std::string_view op) {
    if (!hook) detail::fail_empty_hook(op);
    return erased_.add(std::make_shared<Function>(std::move(hook)));
  }
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
