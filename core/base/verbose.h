// DYGRAD_VERBOSE=1: one line per kernel call, telling op, problem, backend, algorithm and microseconds.
// The library prints nothing else, ever; programs may send these lines elsewhere.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <dygrad/core/base/export.h>

namespace dygrad {

/// Receives each line, without newline, one at a time. Default: standard error. An empty sink restores the default.
/// Thread-safe. Kernels that the sink itself runs write no lines; it may set another sink.
using VerboseSink = std::function<void(std::string_view line)>;
DYGRAD_API void set_verbose(bool on);
DYGRAD_API void set_verbose_sink(VerboseSink sink);
/// As set, or DYGRAD_VERBOSE from the environment.
DYGRAD_API bool verbose();

namespace detail {

/// Writes a line, whether verbose() is on or not.
DYGRAD_API void write_verbose_line(std::string_view line);

/// Times one kernel call. Does nothing unless verbose() was on when it was made.
class DYGRAD_API VerboseCall {
 public:
  VerboseCall() : start_(verbose() ? now() : kOff) {}
  explicit operator bool() const { return start_ != kOff; }
  /// Writes "dygrad,<op>,<problem>,<backend>,<algorithm>,<microseconds>".
  void done(std::string_view op, std::string_view problem, std::string_view backend, std::string_view algorithm) const;

 private:
  static constexpr std::int64_t kOff = INT64_MIN;
  static std::int64_t now();

  std::int64_t start_;  // nanoseconds
};

}  // namespace detail

}  // namespace dygrad
