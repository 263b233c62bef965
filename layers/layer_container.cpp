#include <dygrad/layers/layer_container.h>

#include <algorithm>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {
bool is_number(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

LayerPtr checked(LayerPtr layer, const char* op) {
  if (!layer) throw InvalidArgument(Message(op, "the layer is null."));
  return layer;
}

auto at(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }
}  // namespace

std::size_t LayerContainer::index(std::int64_t position) const {
  const std::int64_t from_front = position < 0 ? position + size() : position;
  if (from_front < 0 || from_front >= size()) {
    throw InvalidArgument(Message("layers", "the position is out of range.")
                              .expected("{} <= position < {}", -size(), size())
                              .got("{}", position));
  }
  return static_cast<std::size_t>(from_front);
}

void LayerContainer::append(LayerPtr layer) { insert(size(), std::move(layer)); }

void LayerContainer::insert(std::int64_t position, LayerPtr layer) {
  const std::size_t place = position == size() ? child_entries().size() : index(position);
  Layer* added = checked(layer, "insert").get();
  child_entries().insert(child_entries().begin() + at(place), Child{"0", added, std::move(layer)});
  renumber();
}

void LayerContainer::extend(const std::vector<LayerPtr>& layers) {
  for (const LayerPtr& layer : layers) checked(layer, "extend");
  for (const LayerPtr& layer : layers) append(layer);
}

void LayerContainer::set(std::int64_t position, LayerPtr layer) {
  Child& child = child_entries()[index(position)];
  child.layer = checked(layer, "set").get();
  child.owner = std::move(layer);
}

void LayerContainer::erase(std::int64_t position) {
  child_entries().erase(child_entries().begin() + at(index(position)));
  renumber();
}

std::vector<LayerPtr> LayerContainer::share_range(std::int64_t start, std::int64_t stop) const {
  const auto clamped = [this](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + size() : i, 0, size()); };
  std::vector<LayerPtr> layers;
  for (std::int64_t i = clamped(start); i < clamped(stop); ++i) layers.push_back(share(i));
  return layers;
}

void LayerContainer::renumber() {
  std::size_t position = 0;
  for (Child& child : child_entries()) {
    if (is_number(child.name)) child.name = std::to_string(position);
    ++position;
  }
}

}  // namespace dygrad
