#include <dygrad/layers/containers/layer_list.h>

#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

LayerList::LayerList(std::initializer_list<LayerPtr> layers) {
  detail::with_out_of_memory("LayerList", [&] { extend(layers); });
}
LayerList::LayerList(const std::vector<LayerPtr>& layers) { extend(layers); }

LayerList LayerList::slice(std::int64_t start, std::int64_t stop) const { return LayerList(share_range(start, stop)); }

}  // namespace dygrad
