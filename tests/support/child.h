// Runs a function in a process of its own, for tests of what happens to others when a process dies, or loses rights
// that it cannot get back.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <stdexcept>

namespace dygrad::testing {

/// A fork that runs `f` and ends with what it returns; 99 if it throws. Killed if it is still alive at the end.
class Child {
 public:
  template <class F>
  explicit Child(F&& f) : pid_(::fork()) {
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    if (pid_ > 0) return;
    int status = 99;
    try {
      status = f();
    } catch (const std::exception&) {
    }
    ::_exit(status);
  }
  ~Child() {
    if (pid_ > 0) kill();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() {
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  /// What it returned, or -1 if a signal ended it.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_;
};

}  // namespace dygrad::testing
