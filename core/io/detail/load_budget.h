// Keeps count of the memory that a file asks for, before it is asked of the system.
#pragma once

#include <cstdint>

#include <dygrad/core/io/detail/file_context.h>
#include <dygrad/core/io/load_options.h>

namespace dygrad::io {

class LoadBudget {
 public:
  /// Throws InvalidArgument if the limit is negative. `file_bytes` is the size of the file as it is on the disk.
  LoadBudget(const FileContext& context, const LoadOptions& options, std::uint64_t file_bytes, bool is_compressed);
  /// Counts the memory of one more tensor. Throws IoError if the limit is exceeded.
  void take(const FileContext& context, std::uint64_t num_bytes);

 private:
  std::uint64_t limit_;
  std::uint64_t taken_ = 0;
};

}  // namespace dygrad::io
