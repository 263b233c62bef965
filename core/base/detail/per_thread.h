// Objects that each thread has one of, such as caches, and that can be used to the very end of the thread and of the
// program.
#pragma once

#include <utility>

namespace dygrad::detail {

/// Calls end() when this thread ends.
void at_thread_exit(void (*end)());

// Note [To the last]
// Destructors of static and thread_local objects of the program may run ops. So the library has no static object with a
// destructor: what must be destroyed is made by `new` and kept for ever. And it has no thread_local object with one:
// such an object is behind a plain pointer, which stays usable when the object is gone, and whoever asks again, while
// the thread ends, gets a new one, which ends too. Only what is made on the main thread after its thread_local objects
// went stays; the program ends then.

/// This thread's object of this place, made by make() on first use. Every lambda is a type, thus a place, of its own.
template <class Make>
auto& per_thread(Make make) {
  using Object = decltype(make());
  static constinit thread_local Object* object = nullptr;
  if (!object) [[unlikely]] {
    at_thread_exit([] { delete std::exchange(object, nullptr); });
    object = new Object(make());
  }
  return *object;
}

// Note [Libraries that end before us]
// Libraries under us may have static objects, which are destroyed before those that the program made earlier. So
// whoever calls one that cannot be used then asks first whether the program is ending. It is from when the main
// thread's thread_local objects go on, and where another thread called exit(), from the point in the order of
// destruction that watch_program_end() was first called at.

/// To be called before each question.
void watch_program_end();
bool program_is_ending() noexcept;

}  // namespace dygrad::detail
