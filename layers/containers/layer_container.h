// LayerContainer: what Sequential and LayerList share, a list of owned sublayers named by their positions.
#pragma once

#include <cstdint>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/layers/base/layer.h>

namespace dygrad {

/// Positions count from 0, negative ones from the back; others throw InvalidArgument. An element may be shared with
/// other containers. Elements added without a name are named by their position, and renamed when that changes; so a
/// name that a user gives to any part of a container must not be a number: InvalidArgument. A layer that is null, or
/// that holds this container, throws InvalidArgument. A call that throws changes nothing. insert and erase move the
/// elements behind the position, which takes time in proportion to their number.
class DYGRAD_API LayerContainer : public Layer {
 public:
  std::int64_t size() const { return static_cast<std::int64_t>(child_entries().size()); }
  bool empty() const { return child_entries().empty(); }
  template <Integer I>
  Layer& operator[](I position) const {
    return *child_entries()[index("[]", static_cast<std::int64_t>(position))].layer;
  }
  LayerPtr share(std::int64_t position) const { return child_entries()[index("share", position)].owner; }

  void append(LayerPtr layer);
  /// Makes and appends: net.append<Conv2D>({.num_channels = 3, ...}). Returns the new layer.
  template <class L>
  L& append(typename L::Options options) {
    return append_made(make_layer<L>(std::move(options)));
  }
  template <class L>
  L& append() {
    return append_made(make_layer<L>());
  }
  /// Before the element at `position`; size() appends.
  void insert(std::int64_t position, LayerPtr layer);
  /// Appends all of them.
  void extend(const std::vector<LayerPtr>& layers);
  void set(std::int64_t position, LayerPtr layer);
  void erase(std::int64_t position);

  /// Walks the elements as Layer&.
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Layer;
    using difference_type = std::ptrdiff_t;
    using pointer = Layer*;
    using reference = Layer&;

    Iterator() = default;
    Layer& operator*() const { return (*container_)[position_]; }
    Layer* operator->() const { return &**this; }
    Iterator& operator++() {
      ++position_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(container_, position_++); }
    bool operator==(const Iterator&) const = default;

   private:
    friend class LayerContainer;
    Iterator(const LayerContainer* container, std::int64_t position) : container_(container), position_(position) {}
    const LayerContainer* container_ = nullptr;
    std::int64_t position_ = 0;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 protected:
  LayerContainer() { has_positions_ = true; }
  std::size_t index(const char* op, std::int64_t position) const;
  /// By its name, or by its position in digits; null if there is none.
  Layer* find_child(std::string_view name) const;
  std::vector<LayerPtr> share_range(std::int64_t start, std::int64_t stop) const;
  // `op` names the caller in errors.
  void insert_at(const char* op, std::size_t place, LayerPtr layer);
  void append_all(const char* op, const std::vector<LayerPtr>& layers);

 private:
  template <class L>
  L& append_made(std::shared_ptr<L> layer) {
    L& made = *layer;
    append(std::move(layer));
    return made;
  }
};

}  // namespace dygrad
