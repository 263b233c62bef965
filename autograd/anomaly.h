// Anomaly mode: finds the op whose gradient first became NaN or infinite, and tells where it was recorded.
#pragma once

#include <string>

#include <dygrad/core/base/export.h>

namespace dygrad {

class Node;

/// While alive, ops on this thread remember where they were called (slow), and backward passes check every gradient:
/// the first that is NaN or infinite throws GraphError naming the op and its place. Nests.
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
}  // namespace detail

}  // namespace dygrad
