// Runs a part of a test in a child process, made by fork() without exec: as programs that serve requests do.
#pragma once

#if defined(__unix__)

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
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

}  // namespace dygrad::testing

#endif
