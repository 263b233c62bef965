#include <dygrad/core/base/detail/per_thread.h>

#include <cxxabi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

// What the compiler passes for thread_local objects: keeps this library loaded until its threads have ended.
extern "C" {
extern void* __dso_handle __attribute__((visibility("hidden")));
}

namespace dygrad::detail {

namespace {

constinit std::atomic<bool> is_ending{false};

bool is_main_thread() {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#else
  return false;
#endif
}

}  // namespace

// Unlike the destructor of a thread_local object, this can be asked for again while the thread is ending.
void at_thread_exit(void (*end)()) {
  const auto call = [](void* function) { reinterpret_cast<void (*)()>(function)(); };
  abi::__cxa_thread_atexit(call, reinterpret_cast<void*>(end), &__dso_handle);
}

void watch_program_end() {
  static constinit thread_local bool is_watched = false;
  if (is_watched) return;
  is_watched = true;
  if (is_main_thread()) at_thread_exit([] { is_ending = true; });
#if defined(__GLIBC__)
  [[maybe_unused]] static const int once = on_exit([](int, void*) { is_ending = true; }, nullptr);
#endif
}

bool program_is_ending() noexcept { return is_ending.load(std::memory_order_relaxed); }

}  // namespace dygrad::detail
