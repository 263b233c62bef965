// Anomaly mode: finds the op whose output is the first NaN, or whose gradient is the first NaN or infinity, and tells
// where it was recorded.
#pragma once

#include <cstddef>
#include <string>

#include <dygrad/core/base/export.h>

namespace dygrad {

class Node;
class Tensor;

/// While alive, recorded ops on this thread remember where they were called (slow) and check their output, which may
/// hold infinities but no NaN, and backward passes check that every gradient is finite. The first that is not throws
/// GraphError naming the op and its place. A NaN that where() would drop later counts too. Places are function names
/// where the program exports them (link with -rdynamic, in CMake ENABLE_EXPORTS ON), else addresses for addr2line.
/// Nests.
class DYGRAD_API AnomalyMode {
 public:
  explicit AnomalyMode(bool enabled = true);
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;
  static bool is_enabled();

 private:
  bool previous_;
};

/// While alive, ops recorded on this thread in anomaly mode, or tracked by TrackGraphs, mention this label, for example
/// a layer's name. Nests.
class DYGRAD_API RecordScope {
 public:
  explicit RecordScope(const std::string& label);
  ~RecordScope();
  RecordScope(const RecordScope&) = delete;
  RecordScope& operator=(const RecordScope&) = delete;

 private:
  bool pushed_;
};

namespace detail {
/// Stores the current scopes and call stack with the node, and lists it for live_graphs().
DYGRAD_API void note_origin(Node& node);
DYGRAD_API bool has_nan(const Tensor& x);
/// Throws GraphError for an output with a NaN; `input` is the first input that has one too, or `num_inputs`.
[[noreturn]] DYGRAD_API void fail_nan(const Node& node, std::size_t input, std::size_t num_inputs);
}  // namespace detail

}  // namespace dygrad
