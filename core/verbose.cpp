#include <dygrad/core/verbose.h>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace dygrad {

namespace {

bool verbose_from_environment() {
  const char* value = std::getenv("DYGRAD_VERBOSE");
  return value && *value && *value != '0';
}

std::atomic<bool>& switch_() {
  static std::atomic<bool> on{verbose_from_environment()};
  return on;
}

struct Sink {
  std::mutex mutex;
  VerboseSink write;
};
Sink& sink() {
  static Sink& instance = *new Sink;
  return instance;
}

}  // namespace

void set_verbose(bool on) { switch_().store(on, std::memory_order_relaxed); }
bool verbose() { return switch_().load(std::memory_order_relaxed); }

void set_verbose_sink(VerboseSink write) {
  const std::scoped_lock lock(sink().mutex);
  sink().write = std::move(write);
}

std::int64_t detail::VerboseCall::now() {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count();
}

void detail::VerboseCall::done(std::string_view op, std::string_view problem, std::string_view backend,
                               std::string_view algorithm) const {
  const double microseconds = static_cast<double>(now() - start_) / 1000;
  write_verbose_line(fmt::format("dygrad,{},{},{},{},{:.1f}", op, problem, backend, algorithm, microseconds));
}

void detail::write_verbose_line(std::string_view line) {
  const std::scoped_lock lock(sink().mutex);
  if (sink().write) sink().write(line);
  else fmt::print(stderr, "{}\n", line);
}

}  // namespace dygrad
