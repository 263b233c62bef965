#include <dygrad/core/memory/storage.h>

#include <mutex>
#include <new>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/memory/allocator.h>

namespace dygrad {

Ref<Storage> Storage::allocate(std::size_t num_bytes, Device device) {
  static_assert(kHeader == kAlignment && sizeof(Storage) <= kHeader);
  if (num_bytes > SIZE_MAX / 2) {
    throw OutOfMemory(Message("allocate", "the request is larger than the address space.")
                          .line("asked for {} bytes", num_bytes)
                          .fix("use smaller extents"));
  }
  auto* block = static_cast<std::byte*>(detail::allocate(kHeader + num_bytes));
  return Ref<Storage>::of_new(new (block) Storage(block + kHeader, num_bytes, device));
}

Ref<Storage> Storage::borrow(void* data, std::size_t num_bytes, Deleter deleter, Device device) {
  // The caller's promise is to us from here on, so the deleter must run even if this allocation fails.
  struct RunUnlessKept {
    void* data;
    Deleter* deleter;
    ~RunUnlessKept() {
      if (deleter && *deleter) (*deleter)(data);
    }
  } guard{data, &deleter};
  void* block = detail::allocate(kHeader);
  auto* storage = new (block) Storage(static_cast<std::byte*>(data), num_bytes, device);
  auto result = Ref<Storage>::of_new(storage);
  storage->deleter_ = new Deleter(std::move(deleter));
  guard.deleter = nullptr;
  return result;
}

void Storage::destroy() const noexcept {
  auto* self = const_cast<Storage*>(this);
  Deleter* deleter = self->deleter_;
  void* data = self->data_;
  const std::size_t block_bytes = kHeader + (is_borrowed() ? 0 : num_bytes_);
  self->~Storage();
  detail::deallocate(self, block_bytes);
  if (deleter) {
    if (*deleter) (*deleter)(data);
    delete deleter;
  }
}

Ref<RefCounted> Storage::backend_slot() const {
  if (!has_slot_.load(std::memory_order_acquire)) return nullptr;
  const std::scoped_lock lock(slot_mutex_);
  return slot_;
}

void Storage::set_backend_slot(Ref<RefCounted> slot) {
  const std::scoped_lock lock(slot_mutex_);  // goes before `slot`, and with it before what was there
  has_slot_.store(static_cast<bool>(slot), std::memory_order_release);
  std::swap(slot_, slot);
}

}  // namespace dygrad
