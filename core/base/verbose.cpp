#include <dygrad/core/base/verbose.h>

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>

#include <dygrad/core/base/detail/environment.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {

bool verbose_from_environment() { return detail::environment("DYGRAD_VERBOSE", {"0", "1"}) == "1"; }

std::atomic<bool>& switch_() {
  static std::atomic<bool> on{verbose_from_environment()};
  return on;
}

// Lines come one after the other, so the lock is held while a sink runs. It may be taken again by the sink's own
// thread, which may set another one; the one that runs lives until it returns.
struct Sink {
  std::recursive_mutex mutex;
  std::shared_ptr<const VerboseSink> write;
};
Sink& sink() {
  static Sink& instance = *new Sink;
  return instance;
}

}  // namespace

void set_verbose(bool on) { switch_().store(on, std::memory_order_relaxed); }
bool verbose() { return switch_().load(std::memory_order_relaxed); }

void set_verbose_sink(VerboseSink write) {
  detail::with_out_of_memory("set_verbose_sink", [&] {
    auto next = write ? std::make_shared<const VerboseSink>(std::move(write)) : nullptr;
    const std::scoped_lock lock(sink().mutex);  // goes before the sink that is swapped out
    sink().write.swap(next);
  });
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
  static constinit thread_local bool in_sink = false;
  if (in_sink) return;  // the kernels of a sink would have no end
  const std::scoped_lock lock(sink().mutex);
  const std::shared_ptr<const VerboseSink> write = sink().write;
  if (!write) return fmt::print(stderr, "{}\n", line);
  struct Within {
    Within() { in_sink = true; }
    ~Within() { in_sink = false; }
  } within;
  (*write)(line);
}

}  // namespace dygrad
