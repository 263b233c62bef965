// Memory that the system or the standard library could not get, as the error that all of dygrad throws for it. What
// runs an op or an algorithm does it through here, so that neither std::bad_alloc nor std::length_error leaves the
// library.
#pragma once

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <dygrad/core/base/error.h>
#include <dygrad/core/base/export.h>

namespace dygrad::detail {

/// Throws OutOfMemory in the name of `op`, also where no memory is left for a message. `num_bytes` are what was asked
/// for, or 0 if that is not known.
[[noreturn]] DYGRAD_API void fail_out_of_memory(std::string_view op, std::size_t num_bytes = 0);

/// Throws OutOfMemory with a text made in advance.
[[noreturn]] DYGRAD_API void fail_without_memory();

/// Throws `error`, in the name of `op` where it is the allocator's own.
[[noreturn]] DYGRAD_API void fail_out_of_memory(std::string_view op, const OutOfMemory& error);

/// Remembers, for this thread, that the exception being handled came from a user's function.
DYGRAD_API void note_users_exception() noexcept;
/// Whether the exception being handled is the one noted last.
DYGRAD_API bool is_users_exception() noexcept;

/// f(), which a user wrote: its exceptions go through with_out_of_memory as they are. OutOfMemory of ops that it calls
/// may get a name there.
template <class F>
decltype(auto) call_user(F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const std::bad_alloc&) {
    note_users_exception();
    throw;
  } catch (const std::length_error&) {
    note_users_exception();
    throw;
  }
}

/// f(), whose containers' failed allocations become OutOfMemory, and whose tensors' failed allocations name `op`.
template <class F>
decltype(auto) with_out_of_memory(std::string_view op, F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const OutOfMemory& error) {
    fail_out_of_memory(op, error);
  } catch (const std::bad_alloc&) {
    if (is_users_exception()) throw;
    fail_out_of_memory(op);
  } catch (const std::length_error&) {  // more elements than any container may hold
    if (is_users_exception()) throw;
    fail_out_of_memory(op);
  }
}

}  // namespace dygrad::detail
