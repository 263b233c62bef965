// DYGRAD_VERBOSE=1: one line per matrix product or convolution, with op, problem, backend, algorithm and microseconds.
// The library prints nothing else, ever; programs may send these lines elsewhere. The problem is a dtype and shapes:
//   matmul        float32:3x4:4x2
//   convolutions  float32:mb2_g1ic3oc5_ih8oh16kh4sh2dh0ph1_iw8ow16kw4sw2dw0pw1, in the letters of oneDNN's benchdnn:
//   batch
//                 mb, groups, channels, then per direction input, output, kernel, stride, dilation - 1, padding. Sizes
//                 are those of the transposed convolution: of a conv2d, ic and ih are its result's.
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
/// As set, or DYGRAD_VERBOSE from the environment: "0" or "1"; throws InvalidArgument for another value.
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
