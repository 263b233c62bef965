#include <dygrad/backends/onednn/weights_cache.h>

#include <dygrad/backends/common/prepacked_weights.h>
#include <dygrad/backends/onednn/runtime.h>
#include <dygrad/backends/onednn/weights_layout.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad::onednn {

namespace {

struct ReorderedWeights final : Prepacked {
  dnnl::memory::desc seen_as;  // the direction's view of the plain weights
  dnnl::memory::desc wanted;
  Tensor bytes;  // owns what `memory` points to
  dnnl::memory memory;

  explicit ReorderedWeights(const Convolution& c) : seen_as(c.plain_weights), wanted(c.weights) {}
  bool is(const Prepacked& other) const override {
    const auto* o = dynamic_cast<const ReorderedWeights*>(&other);
    return o && seen_as == o->seen_as && wanted == o->wanted;
  }
};

}  // namespace

dnnl::memory converted_weights(const Convolution& convolution, const Tensor& w, Ref<RefCounted>& owner) {
  Ref<ReorderedWeights> wanted = make_ref<ReorderedWeights>(convolution);
  if (Ref<Prepacked> found = find_prepacked(w, *wanted)) {
    owner = found;
    return static_cast<const ReorderedWeights&>(*found).memory;
  }
  Ref<ReorderedWeights> made = make_ref<ReorderedWeights>(convolution);
  made->bytes = buffer(convolution.weights.get_size());
  made->memory = memory_of(made->bytes, convolution.weights);
  const Tensor plain = w.is_contiguous() ? w : kernel::clone(w, MemoryFormat::row_major);
  copy_from_plain(convolution.plain_weights, plain.data<float>(), convolution.weights,
                  static_cast<float*>(made->memory.get_data_handle()));
  owner = made;
  keep_prepacked(w, std::move(wanted), made);
  return made->memory;
}

}  // namespace dygrad::onednn
