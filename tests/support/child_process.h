// Runs a part of a test in a child process, made by fork() without exec: as programs that serve requests do.
#pragma once

#if defined(__unix__)

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <thread>

namespace dygrad::testing {

/// The exit status of a child that runs f(), which returns it: 0 for success; 99 if f throws, and 98 if the child is
/// killed, by the system or because it has not ended after a minute.
template <class F>
int exit_status_of_child(const F& f) {
  constexpr int kThrew = 99, kKilled = 98;
  const pid_t child = fork();
  if (child == 0) {
    try {
      _exit(f());
    } catch (...) {
      _exit(kThrew);
    }
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > deadline) kill(child, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kKilled;
}

/// A fork that runs `f` and ends with what it returns; 99 if it throws. Killed at the latest when this object goes.
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
  /// What it returned, or 98 if a signal ended it.
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
  }

 private:
  pid_t pid_;
};

}  // namespace dygrad::testing

#endif
