// AllocationHook: decides which of a thread's allocations fail. For tests of what a fault leaves behind.
#pragma once

#include <cstddef>

#include <dygrad/core/base/export.h>

namespace dygrad::detail {

/// While alive, is asked before each allocation of tensor memory, and of the objects behind tensors and graphs, by the
/// thread that made it; caches are bypassed meanwhile. One at a time per thread.
class DYGRAD_API AllocationHook {
 public:
  AllocationHook();
  AllocationHook(const AllocationHook&) = delete;
  AllocationHook& operator=(const AllocationHook&) = delete;
  virtual ~AllocationHook();

  /// Answering false makes the allocation fail as if the system had no memory left: OutOfMemory.
  virtual bool allows(std::size_t num_bytes) noexcept = 0;
};

}  // namespace dygrad::detail
