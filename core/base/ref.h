// Intrusive reference counting: one allocation and one atomic per shared object.
// Used by storage, tensors and graph nodes; includes nothing else of dygrad.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <dygrad/core/base/export.h>

namespace dygrad {

template <class T>
class Ref;

namespace detail {
/// Memory for objects that live and die with every op, kept for reuse by each thread. Throws OutOfMemory.
DYGRAD_API void* allocate_object(std::size_t num_bytes);
/// `num_bytes` as passed to `allocate_object`. Any thread may return any object.
DYGRAD_API void deallocate_object(void* object, std::size_t num_bytes) noexcept;
}  // namespace detail

/// Base of everything that is shared by `Ref`. Starts with a count of zero; the first `Ref` owns it.
class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  static void* operator new(std::size_t num_bytes) { return detail::allocate_object(num_bytes); }
  static void* operator new(std::size_t, void* place) noexcept { return place; }
  static void operator delete(void* object, std::size_t num_bytes) noexcept {
    detail::deallocate_object(object, num_bytes);
  }

  void add_ref() const noexcept { count_.fetch_add(1, std::memory_order_relaxed); }
  /// Number of owners now; 1 means that the caller, who holds one of them, is alone.
  std::uint32_t ref_count() const noexcept { return count_.load(std::memory_order_acquire); }

  /// How the object ends, called by its last `Ref`; overridden where memory does not come from plain `new`.
  virtual void destroy() const noexcept { delete this; }

 protected:
  virtual ~RefCounted() = default;

 private:
  template <class>
  friend class Ref;

  /// For a new object, which nobody else can see: a plain store instead of an atomic addition.
  void add_first_ref() const noexcept { count_.store(1, std::memory_order_relaxed); }
  /// True if it was the last. Then nobody else can be looking, so an atomic write is not needed.
  bool drop_ref() const noexcept {
    return count_.load(std::memory_order_acquire) == 1 || count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

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
    if (object_ && object_->RefCounted::drop_ref()) object_->destroy();
  }

  /// Owns an object just made, which no other `Ref` has seen.
  static Ref of_new(T* object) noexcept {
    object->RefCounted::add_first_ref();
    Ref result;
    result.object_ = object;
    return result;
  }

  /// Takes over what detach() gave up.
  static Ref adopt(T* object) noexcept {
    Ref result;
    result.object_ = object;
    return result;
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
  return Ref<T>::of_new(new T(std::forward<Args>(args)...));
}

}  // namespace dygrad
