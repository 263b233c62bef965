#include <dygrad/layers/containers/layer_container.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace {
LayerPtr checked(LayerPtr layer, const char* op) {
  if (!layer)
    throw InvalidArgument(
        Message(op, "the layer is null.").fix("pass a layer, for instance std::make_shared<Linear>(options)"));
  return layer;
}

auto at(std::size_t i) { return static_cast<std::ptrdiff_t>(i); }
}  // namespace

std::size_t LayerContainer::index(const char* op, std::int64_t position) const {
  const std::int64_t from_front = position < 0 ? position + size() : position;
  if (from_front < 0 || from_front >= size()) {
    Message message(op, "the position is out of range.");
    (void)std::move(message).line("layer {}", full_name());
    if (size() == 0)
      throw InvalidArgument(std::move(message)
                                .expected("a layer at that position")
                                .got("{} in an empty container", position)
                                .fix("append layers first"));
    throw InvalidArgument(std::move(message)
                              .expected("{} <= position < {}", -size(), size())
                              .got("{}", position)
                              .fix("count from 0, or from -1 for the last one"));
  }
  return static_cast<std::size_t>(from_front);
}

Layer* LayerContainer::find_child(std::string_view name) const {
  std::size_t position = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), position);
  const bool is_position = error == std::errc() && end == name.data() + name.size() && position < children_.size() &&
                           (name.size() == 1 || name.front() != '0');
  if (is_position && children_[position].name.empty()) return children_[position].layer;
  return find_named_child(name);
}

void LayerContainer::append(LayerPtr layer) { insert_at("append", children_.size(), std::move(layer)); }

void LayerContainer::insert(std::int64_t position, LayerPtr layer) {
  if (position < -size() || position > size()) {
    throw InvalidArgument(Message("insert", "the position is out of range.")
                              .line("layer {}", full_name())
                              .expected("{} <= position <= {}", -size(), size())
                              .got("{}", position)
                              .fix("count from 0, or from -1 for before the last one; size() appends"));
  }
  insert_at("insert", static_cast<std::size_t>(position < 0 ? position + size() : position), std::move(layer));
}

void LayerContainer::insert_at(const char* op, std::size_t place, LayerPtr layer) {
  Layer& added = *checked(layer, op);
  check_no_cycle(op, std::to_string(place), added);
  detail::with_out_of_memory(op, [&] {
    children_.insert(children_.begin() + at(place), detail::NamedSublayer{{}, &added, std::move(layer)});
  });
  added.is_part_ = true;
}

void LayerContainer::extend(const std::vector<LayerPtr>& layers) { append_all("extend", layers); }

void LayerContainer::append_all(const char* op, const std::vector<LayerPtr>& layers) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    checked(layers[i], op);
    check_no_cycle(op, std::to_string(children_.size() + i), *layers[i]);
  }
  detail::with_out_of_memory(op, [&] {
    const std::size_t needed = children_.size() + layers.size();
    if (needed > children_.capacity()) children_.reserve(std::max(needed, 2 * children_.capacity()));
  });
  for (const LayerPtr& layer : layers) {  // nothing fails from here on
    children_.push_back({{}, layer.get(), layer});
    layer->is_part_ = true;
  }
}

void LayerContainer::set(std::int64_t position, LayerPtr layer) {
  const std::size_t place = index("set", position);
  Layer& added = *checked(layer, "set");
  check_no_cycle("set", detail::name_at(children_, place), added);
  replace_named_child(children_[place].name, added);
  children_[place].layer = &added;
  children_[place].owner.swap(layer);
  added.is_part_ = true;
}

void LayerContainer::erase(std::int64_t position) {
  const std::size_t place = index("erase", position);
  const LayerPtr erased = std::move(children_[place].owner);  // goes when the list is in order
  forget_name(children_[place].name);
  children_.erase(children_.begin() + at(place));
}

std::vector<LayerPtr> LayerContainer::share_range(std::int64_t start, std::int64_t stop) const {
  const auto clamped = [this](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + size() : i, 0, size()); };
  return detail::with_out_of_memory("slice", [&] {
    std::vector<LayerPtr> layers;
    for (std::int64_t i = clamped(start); i < clamped(stop); ++i) layers.push_back(share(i));
    return layers;
  });
}

}  // namespace dygrad
