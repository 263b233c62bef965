#include <dygrad/core/base/detail/per_thread.h>

#include <cxxabi.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include <dygrad/core/base/detail/can_allocate.h>

// What the compiler passes for thread_local objects: keeps this library loaded until its threads have ended.
extern "C" {
extern void* __dso_handle __attribute__((visibility("hidden")));
}

namespace dygrad::detail {

namespace {

// Note [Thread exit]
// The runtime registers destructors of thread_local objects in memory that it allocates, and aborts where there is
// none. So one key of POSIX threads, made once, stands for all that a thread of ours has to end: its value needs no
// memory, or setting it fails with an error code.

constinit thread_local ThreadExit* exits = nullptr;

void run_exits(void*) noexcept {
  while (exits) {
    ThreadExit* const exit = std::exchange(exits, exits->next);
    exit->is_listed = false;
    exit->end();
  }
}

struct ExitKey {
  pthread_key_t key{};
  bool exists = pthread_key_create(&key, run_exits) == 0;
};
const ExitKey& exit_key() noexcept {
  static const ExitKey instance;
  return instance;
}
// The first keys of a program need no memory for their values.
[[maybe_unused]] const bool made_at_start = exit_key().exists;

constinit bool is_unloaded = false;
// Where the library is unloaded before its threads end, they must not call it.
[[gnu::destructor]] void forget_exits() {
  is_unloaded = true;
  if (exit_key().exists) pthread_key_delete(exit_key().key);
}

constinit std::atomic<bool> is_ending{false};

bool is_main_thread() {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#else
  return false;
#endif
}

}  // namespace

bool at_thread_exit(ThreadExit& exit) noexcept {
  if (exit.is_listed || is_unloaded) return true;
  if (!exits && (!exit_key().exists || pthread_setspecific(exit_key().key, &exits) != 0)) return false;
  exit.next = std::exchange(exits, &exit);
  exit.is_listed = true;
  return true;
}

void watch_program_end() {
  static constinit thread_local bool is_watched = false;
  // The runtime registers a destructor in memory of its own. A block of this size is joined with its neighbours when it
  // is freed, and serves any smaller one. Without it, the next call watches.
  constexpr std::size_t kRegistration = 4096;
  if (is_watched || !can_allocate(kRegistration)) return;
  is_watched = true;
  if (is_main_thread()) abi::__cxa_thread_atexit([](void*) { is_ending = true; }, nullptr, &__dso_handle);
#if defined(__GLIBC__)
  [[maybe_unused]] static const int once = on_exit([](int, void*) { is_ending = true; }, nullptr);
#endif
}

bool program_is_ending() noexcept { return is_ending.load(std::memory_order_relaxed); }

}  // namespace dygrad::detail
