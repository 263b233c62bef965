#include <dygrad/layers/sequential.h>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

Sequential::Sequential(std::initializer_list<Element> elements) {
  for (const Element& element : elements) {
    if (element.name.empty()) append(element.layer);
    else append(element.name, element.layer);
  }
}

Sequential::Sequential(const std::vector<LayerPtr>& layers) { extend(layers); }

void Sequential::append(const std::string& name, LayerPtr layer) { add_sublayer(name, std::move(layer)); }

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (Layer& layer : *this) y = layer(y);
  return y;
}

Layer& Sequential::operator[](std::string_view name) const {
  std::string names;
  for (const detail::NamedSublayer& child : child_entries()) {
    if (child.name == name) return *child.layer;
    names += (names.empty() ? "" : ", ") + child.name;
  }
  throw InvalidArgument(Message("Sequential", fmt::format("there is no layer \"{}\".", name))
                            .line("names: {}", names)
                            .fix("use one of these names, or a position"));
}

Sequential Sequential::slice(std::int64_t start, std::int64_t stop) const {
  return Sequential(share_range(start, stop));
}

}  // namespace dygrad
