#include <dygrad/tests/support/instructions.h>

#if defined(__x86_64__) && defined(__linux__)

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace dygrad::testing {

namespace {

/// The child's side: stops where counting begins, and where it ends.
[[noreturn]] void run_stepwise(const std::function<void()>& f) {
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
  f();
  raise(SIGSTOP);
  f();
  raise(SIGSTOP);
  _exit(0);
}

bool is_stopped(pid_t child, int by_signal) {
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == by_signal;
}

std::optional<std::int64_t> count_steps(const std::function<void()>& f) {
  const pid_t child = fork();
  if (child < 0) return std::nullopt;
  if (child == 0) run_stepwise(f);
  std::optional<std::int64_t> steps;
  if (is_stopped(child, SIGSTOP)) {
    std::int64_t count = 0;
    bool is_running = true;
    while (is_running && ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0) {
      is_running = is_stopped(child, SIGTRAP);
      ++count;
    }
    if (!is_running) steps = count;
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return steps;
}

}  // namespace

std::optional<std::int64_t> count_instructions(const std::function<void()>& f) {
  const auto around = count_steps([] {});
  const auto all = around ? count_steps(f) : std::nullopt;
  if (!all) return std::nullopt;
  return *all - *around;
}

}  // namespace dygrad::testing

#else

namespace dygrad::testing {
std::optional<std::int64_t> count_instructions(const std::function<void()>&) { return std::nullopt; }
}  // namespace dygrad::testing

#endif
