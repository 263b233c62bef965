// Storage: the bytes that tensors and their views share, with a device, a version counter and one slot for a backend.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include <dygrad/core/base/device.h>
#include <dygrad/core/base/export.h>
#include <dygrad/core/base/mutex.h>
#include <dygrad/core/base/ref.h>

namespace dygrad {

class DYGRAD_API Storage final : public RefCounted {
 public:
  using Deleter = std::function<void(void*)>;

  /// Uninitialised bytes, 64-byte aligned, in one allocation with this header. Throws OutOfMemory.
  static Ref<Storage> allocate(std::size_t num_bytes, Device device = {});

  /// Somebody else's bytes; `deleter(data)` runs when the last owner goes. An empty deleter means "outlives us".
  static Ref<Storage> borrow(void* data, std::size_t num_bytes, Deleter deleter, Device device = {});

  std::byte* data() const { return data_; }
  std::size_t num_bytes() const { return num_bytes_; }
  Device device() const { return device_; }
  bool is_borrowed() const { return data_ != reinterpret_cast<const std::byte*>(this) + kHeader; }

  /// Number of in-place writes so far. Saved values compare it to notice that they changed.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
  void bump_version() {
    version_.fetch_add(1, std::memory_order_acq_rel);
    if (has_slot_.load(std::memory_order_acquire)) set_backend_slot(nullptr);
  }

  /// One opaque object a backend may hang here, such as weights in its own layout; it dies with this version of the
  /// bytes.
  Ref<RefCounted> backend_slot() const;
  void set_backend_slot(Ref<RefCounted> slot);

  void destroy() const noexcept override;

 private:
  static constexpr std::size_t kHeader = 64;  // from this object to the bytes that it owns

  Storage(std::byte* data, std::size_t num_bytes, Device device)
      : data_(data), num_bytes_(num_bytes), device_(device) {}

  // 64 bytes in this order: the header of every tensor's memory, which begins at the next multiple of 64.
  std::byte* data_;
  std::size_t num_bytes_;
  std::atomic<std::uint64_t> version_{0};
  Deleter* deleter_ = nullptr;  // only for borrowed memory
  Ref<RefCounted> slot_;
  mutable Mutex slot_mutex_;
  std::atomic<bool> has_slot_{false};
  Device device_;
};

}  // namespace dygrad
