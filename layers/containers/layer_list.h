// LayerList: layers held for a forward that the user writes.
#pragma once

#include <initializer_list>
#include <vector>

#include <dygrad/layers/containers/layer_container.h>

namespace dygrad {

/// A list, not a function: calling it throws Error.
///   for (Layer& block : blocks) x = block(x);
class DYGRAD_API LayerList : public LayerContainer {
 public:
  LayerList() = default;
  LayerList(std::initializer_list<LayerPtr> layers);
  explicit LayerList(const std::vector<LayerPtr>& layers);
  Tensor forward(const Tensor& x) override;
  /// Elements start .. stop - 1 as a list that shares them; clamped as in Python.
  LayerList slice(std::int64_t start, std::int64_t stop) const;
};

}  // namespace dygrad
