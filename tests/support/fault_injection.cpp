// Test programs allocate through these functions instead of the C++ runtime's.
#include <dygrad/tests/support/fault_injection.h>

#include <cstdlib>
#include <new>

namespace {

constinit thread_local dygrad::testing::FailingAllocation* failing = nullptr;

bool fails(std::size_t num_bytes) noexcept { return failing && !failing->allows(num_bytes); }

void* allocate(std::size_t num_bytes) noexcept {
  return fails(num_bytes) ? nullptr : std::malloc(num_bytes == 0 ? 1 : num_bytes);
}

void* allocate(std::size_t num_bytes, std::align_val_t alignment) noexcept {
  const auto align = static_cast<std::size_t>(alignment);
  if (num_bytes > SIZE_MAX - align || fails(num_bytes)) return nullptr;
  return std::aligned_alloc(align, num_bytes == 0 ? align : (num_bytes + align - 1) / align * align);
}

void* or_throw(void* block) {
  if (!block) throw std::bad_alloc();
  return block;
}

}  // namespace

namespace dygrad::testing {

FailingAllocation::FailingAllocation(std::int64_t n) noexcept : n_(n) { failing = this; }
FailingAllocation::~FailingAllocation() { failing = nullptr; }

}  // namespace dygrad::testing

void* operator new(std::size_t n) { return or_throw(allocate(n)); }
void* operator new[](std::size_t n) { return or_throw(allocate(n)); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate(n); }
void* operator new(std::size_t n, std::align_val_t a) { return or_throw(allocate(n, a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return or_throw(allocate(n, a)); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, a); }
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate(n, a); }

void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { std::free(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept { std::free(block); }
