#include <dygrad/layers/containers/layer_list.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

LayerList::LayerList(std::initializer_list<LayerPtr> layers) {
  detail::with_out_of_memory("LayerList", [&] { append_all("LayerList", layers); });
}
LayerList::LayerList(const std::vector<LayerPtr>& layers) { append_all("LayerList", layers); }

Tensor LayerList::forward(const Tensor&) {
  throw Error(Message("LayerList", "a list of layers has no forward of its own.")
                  .line("layer {}", full_name())
                  .fix("call its elements, as in: for (Layer& layer : list) x = layer(x); or use a Sequential"));
}

LayerList LayerList::slice(std::int64_t start, std::int64_t stop) const { return LayerList(share_range(start, stop)); }

}  // namespace dygrad
