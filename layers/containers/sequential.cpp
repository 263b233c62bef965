#include <dygrad/layers/containers/sequential.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

Sequential::Sequential(std::initializer_list<Element> elements) {
  for (const Element& element : elements) {
    if (!element.name.empty()) own_sublayer("Sequential", element.name, element.layer);
    else insert_at("Sequential", child_entries().size(), element.layer);
  }
}

Sequential::Sequential(const std::vector<LayerPtr>& layers) { append_all("Sequential", layers); }

void Sequential::append(const std::string& name, LayerPtr layer) { own_sublayer("append", name, std::move(layer)); }

Tensor Sequential::forward(const Tensor& x) {
  // Hooks may change the container, and drop layers that are still to run.
  const auto layers = detail::with_out_of_memory("Sequential", [this] {
    std::vector<LayerPtr> list;
    list.reserve(child_entries().size());
    for (const detail::NamedSublayer& child : child_entries()) list.emplace_back(child.owner, child.layer);
    return list;
  });
  Tensor y = x;
  for (const LayerPtr& layer : layers) y = (*layer)(y);
  return y;
}

Layer& Sequential::operator[](std::string_view name) const {
  if (Layer* layer = find_child(name)) return *layer;
  return detail::with_out_of_memory("Sequential", [&]() -> Layer& {
    const std::vector<detail::NamedSublayer>& children = child_entries();
    if (children.empty())
      throw InvalidArgument(Message("Sequential", "there is no layer \"{}\".", name)
                                .expected("the name of a layer")
                                .got("\"{}\" in an empty container", name)
                                .fix("append layers first"));
    std::string names;
    for (std::size_t i = 0; i < children.size(); ++i) names += (i == 0 ? "" : ", ") + detail::name_at(children, i);
    throw InvalidArgument(Message("Sequential", "there is no layer \"{}\".", name)
                              .line("names: {}", names)
                              .fix("use one of these names, or a position"));
  });
}

Sequential Sequential::slice(std::int64_t start, std::int64_t stop) const {
  return Sequential(share_range(start, stop));
}

}  // namespace dygrad
