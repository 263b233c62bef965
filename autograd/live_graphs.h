// Which recorded graphs are alive: finds what keeps memory. See Note [Gradients that keep their own graph] in
// core/tensor/tensor.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dygrad/core/base/export.h>

namespace dygrad {

class Node;

/// While alive, ops recorded on this thread are listed by live_graphs() for as long as they live, with the place of
/// recording. As slow as AnomalyMode, which tracks them too; otherwise recording costs nothing extra. May be nested.
class DYGRAD_API TrackGraphs {
 public:
  explicit TrackGraphs(bool enabled = true);
  ~TrackGraphs();
  TrackGraphs(const TrackGraphs&) = delete;
  TrackGraphs& operator=(const TrackGraphs&) = delete;

 private:
  bool previous_;
};

struct DYGRAD_API LiveGraphs {
  /// Listed nodes of one op, recorded in one place.
  struct Op {
    std::string name;
    std::string origin;  ///< scopes and call stack
    std::int64_t nodes = 0;
    std::int64_t saved_bytes = 0;
  };
  std::int64_t nodes = 0;          ///< all of this process, leaves included, listed or not
  std::int64_t tracked_nodes = 0;  ///< without leaves
  std::int64_t saved_bytes = 0;    ///< of listed nodes; a value that several of them saved counts for each
  std::vector<Op> ops;             ///< most saved bytes first, then most nodes
  /// What may close a cycle: among listed nodes and leaves below them, those whose stored or retained gradient has a
  /// graph, and those with hooks.
  std::vector<std::string> suspects;

  /// All of it, a line for each op and suspect, with places of recording.
  std::string text() const;
};

/// What is alive now, of all threads. Thread-safe.
DYGRAD_API LiveGraphs live_graphs();

namespace detail {
void track_node(Node& node);
void untrack_node(const Node& node) noexcept;
}  // namespace detail

}  // namespace dygrad
