#include <dygrad/core/base/out_of_memory.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/detail/thread_counters.h>

namespace dygrad::detail {

namespace {

// Made while there is memory. Its copies share the text.
const OutOfMemory& spare_error() {
  static const OutOfMemory& instance = *new OutOfMemory(
      "allocate: the system has no memory left, not even for this message.\n  fix: use smaller tensors");
  return instance;
}
[[maybe_unused]] const OutOfMemory& made_at_start = spare_error();

OutOfMemory make_error(std::string_view op, std::size_t num_bytes) {
  Message message(op, num_bytes > 0 ? "the system has no memory left for this request."
                                    : "the system has no memory left for what this op keeps beside tensors.");
  if (num_bytes > 0) {
    std::move(message).line("asked for {} bytes, {} bytes are live in tensors", num_bytes, total(Counter::live_bytes));
  } else {
    std::move(message).line("{} bytes are live in tensors", total(Counter::live_bytes));
  }
  return OutOfMemory(
      std::move(message).fix("use smaller tensors or batches, or drop graphs and tensors that are no longer needed"));
}

/// What note_users_exception() noted on this thread; null at first. Kept, so that no later exception can have the same
/// address. Lies in memory of the thread's own: it is asked for where none is left.
constinit thread_local std::exception_ptr* users_exception = nullptr;

std::exception_ptr* make_users_exception() noexcept {
  alignas(std::exception_ptr) static constinit thread_local std::byte memory[sizeof(std::exception_ptr)]{};
  static constinit thread_local ThreadExit exit{[] { std::destroy_at(std::exchange(users_exception, nullptr)); }};
  return at_thread_exit(exit) ? new (memory) std::exception_ptr() : nullptr;
}

}  // namespace

void note_users_exception() noexcept {
  if (!users_exception) users_exception = make_users_exception();
  if (users_exception) *users_exception = std::current_exception();  // else it leaves as OutOfMemory
}

bool is_users_exception() noexcept {
  return users_exception && *users_exception && *users_exception == std::current_exception();
}

void fail_without_memory() { throw spare_error(); }

void fail_out_of_memory(std::string_view op, const OutOfMemory& error) {
  constexpr std::string_view kAllocator = "allocate:";
  const std::string_view text = error.what();
  if (!text.starts_with(kAllocator)) throw error;
  try {
    throw OutOfMemory(std::string(op) + ":" + std::string(text.substr(kAllocator.size())));
  } catch (const std::bad_alloc&) {
    throw error;
  }
}

void fail_out_of_memory(std::string_view op, std::size_t num_bytes) {
  try {
    throw make_error(op, num_bytes);
  } catch (const std::bad_alloc&) {
    fail_without_memory();
  }
}

}  // namespace dygrad::detail
