// ParameterList: parameters held as a list, named "0", "1", ...
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// Positions count from 0, negative ones from the back; others throw InvalidArgument. Names that are
/// numbers are those of positions: no other part may be given one (InvalidArgument).
class DYGRAD_API ParameterList : public Layer {
 public:
  ParameterList();
  ParameterList(std::initializer_list<Parameter> parameters);

  void append(Parameter parameter);
  std::int64_t size() const { return static_cast<std::int64_t>(items_.size()); }
  /// Assignable: list[0] = other.
  Parameter& operator[](std::int64_t position) const;
  std::vector<Parameter> items() const;

 private:
  std::vector<Parameter*> items_;  // owned by the layer
};

}  // namespace dygrad
