#include <dygrad/core/io/detail/load_budget.h>

#include <unistd.h>

#include <algorithm>
#include <limits>

#include <dygrad/core/io/detail/fail.h>

namespace dygrad::io {

namespace {

constexpr std::uint64_t kAlwaysExpands = std::uint64_t{256} << 20;  // bytes
constexpr std::uint64_t kUsualExpansion = 64;                       // times; text and sparse weights stay far below

std::uint64_t memory_of_machine() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return std::numeric_limits<std::int64_t>::max();
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

std::uint64_t default_limit(std::uint64_t file_bytes, bool is_compressed) {
  const std::uint64_t memory = memory_of_machine();
  if (!is_compressed || file_bytes > memory / kUsualExpansion) return memory;
  return std::min(memory, std::max(kAlwaysExpands, kUsualExpansion * file_bytes));
}

}  // namespace

LoadBudget::LoadBudget(const FileContext& context, const LoadOptions& options, std::uint64_t file_bytes,
                       bool is_compressed)
    : limit_(options.max_bytes > 0 ? static_cast<std::uint64_t>(options.max_bytes)
                                   : default_limit(file_bytes, is_compressed)) {
  if (options.max_bytes < 0) {
    throw InvalidArgument(about(context, "max_bytes is negative.")
                              .expected("a number of bytes, or 0 for the default")
                              .got("{}", options.max_bytes)
                              .fix("leave it out"));
  }
}

void LoadBudget::take(const FileContext& context, std::uint64_t num_bytes) {
  if (num_bytes > limit_ - taken_) {
    throw IoError(about(context, "the tensors of this file take more memory than is allowed.")
                      .expected("at most {} bytes", limit_)
                      .got("{}{}", num_bytes, taken_ > 0 ? fmt::format(" beside {}", taken_) : "")
                      .fix("if you trust the file, allow more: {}(..., {{.max_bytes = ...}})", context.op));
  }
  taken_ += num_bytes;
}

}  // namespace dygrad::io
