// Sequential: layers one after the other.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <dygrad/layers/containers/layer_container.h>

namespace dygrad {

/// Feeds each layer's output to the next. A call runs the layers that there are when it begins, whatever hooks change.
///   Sequential net{make_layer<Linear>({.input_dim = 8, .output_dim = 4}), make_layer<ReLU>()};
///   Sequential net{{"fc", make_layer<Linear>({...})}, {"act", make_layer<ReLU>()}};
class DYGRAD_API Sequential : public LayerContainer {
 public:
  /// A layer, or a name and a layer.
  struct Element {
    template <class L>
    requires std::convertible_to<std::shared_ptr<L>, LayerPtr> Element(std::shared_ptr<L> element)
        : layer(std::move(element)) {}
    Element(std::string key, LayerPtr element) : name(std::move(key)), layer(std::move(element)) {}
    std::string name{};
    LayerPtr layer;
  };

  Sequential() = default;
  Sequential(std::initializer_list<Element> elements);
  explicit Sequential(const std::vector<LayerPtr>& layers);

  Tensor forward(const Tensor& x) override;

  using LayerContainer::append;
  using LayerContainer::operator[];
  /// Throws InvalidArgument if the name is empty, has a '.', is a number, or is taken; or if the layer is null or holds
  /// this one.
  void append(const std::string& name, LayerPtr layer);
  /// By name, or by position in digits. Throws InvalidArgument naming what there is.
  Layer& operator[](std::string_view name) const;
  Layer& operator[](const char* name) const { return (*this)[std::string_view(name)]; }
  /// Elements start .. stop - 1 as a Sequential that shares them; clamped as in Python.
  Sequential slice(std::int64_t start, std::int64_t stop) const;
};

}  // namespace dygrad
