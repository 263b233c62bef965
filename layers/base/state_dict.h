// StateDict: named tensors in order, as layers and optimizers give and take them.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Names are distinct and keep their order. Tensors are handles: a layer's state_dict() sees later training; clone()
/// does not. Finding, inserting, replacing and erasing take logarithmic time, whatever the names.
class DYGRAD_API StateDict {
 public:
  using Entry = std::pair<std::string, Tensor>;
  using Entries = std::vector<Entry>;
  using Iterator = std::list<Entry>::const_iterator;

  StateDict() = default;
  StateDict(const StateDict& other);
  StateDict(StateDict&& other) noexcept = default;
  StateDict& operator=(const StateDict& other);
  StateDict& operator=(StateDict&& other) noexcept = default;
  /// Throws InvalidArgument on a repeated name.
  StateDict(Entries entries);

  /// A copy of the list.
  Entries entries() const;
  Iterator begin() const { return entries_.begin(); }
  Iterator end() const { return entries_.end(); }
  std::size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }

  bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// Null if there is none.
  const Tensor* find(std::string_view name) const;
  /// Throws InvalidArgument naming what there is.
  const Tensor& at(std::string_view name) const;

  /// Appends. Throws InvalidArgument if the name is taken.
  void insert(std::string name, Tensor tensor);
  /// Appends all of `other`, with `prefix` before each name.
  void insert_all(const std::string& prefix, const StateDict& other);
  /// Replaces or appends.
  void set(std::string name, Tensor tensor);
  /// Removes; false if there was none.
  bool erase(std::string_view name);

  /// The entries whose names begin with `prefix`, without it.
  StateDict with_prefix(std::string_view prefix) const;
  /// The same values in memory of their own, outside of any graph.
  StateDict clone() const;

 private:
  /// Appends; false if the name is taken. All or nothing.
  bool append(std::string name, Tensor tensor);

  std::list<Entry> entries_;
  // A map and not a hash table: names come from files, which could be written to collide. Its keys are the names in
  // entries_.
  std::map<std::string_view, std::list<Entry>::iterator> place_of_;
};

/// How what was loaded differs from what is there.
struct DYGRAD_API LoadReport {
  std::vector<std::string> missing;     ///< here, but not in the state
  std::vector<std::string> unexpected;  ///< in the state, but not here
  std::vector<std::string> mismatched;  ///< other shape, dtype or range: "weight: expected ..., got ..."
  bool ok() const { return missing.empty() && unexpected.empty() && mismatched.empty(); }
  /// All of it as the text of an error of `op`.
  std::string message(std::string_view op, std::string_view owner, std::string_view file = {}) const;
};

}  // namespace dygrad
