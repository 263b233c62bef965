#include <dygrad/layers/layer_list.h>

namespace dygrad {

LayerList::LayerList(std::initializer_list<LayerPtr> layers) : LayerList(std::vector<LayerPtr>(layers)) {}
LayerList::LayerList(const std::vector<LayerPtr>& layers) { extend(layers); }

LayerList LayerList::slice(std::int64_t start, std::int64_t stop) const { return LayerList(share_range(start, stop)); }

}  // namespace dygrad
