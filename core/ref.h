// Intrusive reference counting: one allocation and one atomic per shared object.
// Used by storage, tensors and graph nodes; includes nothing of dygrad.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace dygrad {

/// Base of everything that is shared by `Ref`. Starts with a count of zero; the first `Ref` owns it.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void add_ref() const noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  void drop_ref() const noexcept {
    // The last owner may destroy without an atomic write: nobody else can be looking.
    if (count_.load(std::memory_order_acquire) == 1 || count_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  /// Number of owners now; 1 means that the caller, who holds one of them, is alone.
  std::uint32_t ref_count() const noexcept { return count_.load(std::memory_order_acquire); }

 protected:
  virtual ~RefCounted() = default;
  /// How the object ends; overridden where memory does not come from plain `new`.
  virtual void destroy() const noexcept { delete this; }

 private:
  mutable std::atomic<std::uint32_t> count_{0};
};

/// Shared owner of a `RefCounted` object. Copies share; null is allowed. As thread-safe as `std::shared_ptr`.
template <class T>
class Ref {
 public:
  Ref() noexcept = default;
  Ref(std::nullptr_t) noexcept {}
  explicit Ref(T* object) noexcept : object_(object) {
    if (object_) object_->add_ref();
  }
  Ref(const Ref& other) noexcept : Ref(other.object_) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> Ref(const Ref<U>& other)
  noexcept : Ref(other.get()) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> Ref(Ref<U>&& other)
  noexcept : object_(other.detach()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_) object_->drop_ref();
  }

  T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  bool operator==(const Ref& other) const noexcept { return object_ == other.object_; }

  /// Gives up ownership without dropping the count.
  [[nodiscard]] T* detach() noexcept { return std::exchange(object_, nullptr); }

 private:
  T* object_ = nullptr;
};

template <class T, class... Args>
Ref<T> make_ref(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

}  // namespace dygrad
