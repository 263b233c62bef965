// Objects that each thread has one of, such as caches, and that can be used to the very end of the thread and of the
// program.
#pragma once

#include <memory>
#include <new>
#include <utility>

namespace dygrad::detail {

/// What a thread does when it ends: one for each thread and place, constant-initialised.
struct ThreadExit {
  void (*end)();
  ThreadExit* next = nullptr;
  bool is_listed = false;
};

/// Calls exit.end() when this thread ends, the last one asked for first; not where the main thread ends
/// the program. May be asked for again while the thread ends. False where the system lacks memory for it, which the
/// first keys of a program do not need: see Note [Thread exit].
bool at_thread_exit(ThreadExit& exit) noexcept;

// Note [Static destruction]
// Destructors of static and thread_local objects of the program may run ops. So the library has no static object with a
// destructor: what must be destroyed is made by `new` and kept for ever. And it has no thread_local object with one:
// such an object is behind a plain pointer, which stays usable when the object is gone, and whoever asks again, while
// the thread ends, gets a new one, which ends too. What is the main thread's stays; the program ends with it.

/// This thread's object of this place, made by make() on first use. Every lambda is a type, thus a place, of its own.
/// Throws std::bad_alloc.
template <class Make>
auto& per_thread(Make make) {
  using Object = decltype(make());
  static constinit thread_local Object* object = nullptr;
  if (!object) [[unlikely]] {
    static constinit thread_local ThreadExit exit{[] { delete std::exchange(object, nullptr); }};
    auto made = std::make_unique<Object>(make());
    if (!at_thread_exit(exit)) throw std::bad_alloc();
    object = made.release();
  }
  return *object;
}

// Note [Static destruction of dependencies]
// Libraries under us may have static objects, which are destroyed before those that the program made earlier. So
// whoever calls one that cannot be used then asks first whether the program is ending. It is from when the main
// thread's thread_local objects go on, and where another thread called exit(), from the point in the order of
// destruction that watch_program_end() was first called at.

/// To be called before each question.
void watch_program_end();
bool program_is_ending() noexcept;

}  // namespace dygrad::detail
