#include <dygrad/backends/onednn/weights_cache.h>

#include <mutex>
#include <optional>
#include <vector>

#include <dygrad/backends/onednn/runtime.h>
#include <dygrad/core/copy.h>

namespace dygrad::onednn {

namespace {

/// What a conversion was made from and for.
struct Origin {
  std::uint64_t version;
  std::int64_t offset;
  Shape shape;
  Strides strides;
  dnnl::memory::desc seen_as;  // the direction's view of the plain weights
  dnnl::memory::desc wanted;
  bool operator==(const Origin&) const = default;
};

struct Conversion {
  Origin origin;
  Tensor bytes;  // owns what `memory` points to
  dnnl::memory memory;
};

class ConvertedWeights final : public RefCounted {
 public:
  std::optional<dnnl::memory> find(const Origin& origin) const {
    const std::scoped_lock lock(mutex_);
    for (const Conversion& conversion : conversions_) {
      if (conversion.origin == origin) return conversion.memory;
    }
    return std::nullopt;
  }

  void insert(Conversion conversion) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(conversions_, [&](const Conversion& old) { return old.origin.version != conversion.origin.version; });
    if (conversions_.size() == kConversionsPerStorage) conversions_.erase(conversions_.begin());
    conversions_.push_back(std::move(conversion));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Conversion> conversions_;  // oldest first
};

}  // namespace

dnnl::memory converted_weights(const Convolution& convolution, const Tensor& w) {
  Storage& storage = *w.impl()->storage;
  Ref<RefCounted> slot = storage.backend_slot();
  auto* cache = dynamic_cast<ConvertedWeights*>(slot.get());
  const Origin origin{storage.version(), w.impl()->offset,          w.shape(),
                      w.strides(),       convolution.plain_weights, convolution.weights};
  if (cache) {
    if (std::optional<dnnl::memory> found = cache->find(origin)) return *found;
  } else {
    slot = make_ref<ConvertedWeights>();
    cache = static_cast<ConvertedWeights*>(slot.get());
    storage.set_backend_slot(slot);  // two threads may race here: the loser's conversion is merely made again
  }
  Conversion made{origin, buffer(convolution.weights.get_size()), {}};
  made.memory = memory_of(made.bytes, convolution.weights);
  const Tensor plain = w.is_contiguous() ? w : raw::clone(w, MemoryFormat::row_major);
  dnnl::memory from = memory_of(plain, convolution.plain_weights);
  convolution.weights_conversion.execute(stream(), from, made.memory);
  stream().wait();
  dnnl::memory memory = made.memory;
  cache->insert(std::move(made));
  return memory;
}

}  // namespace dygrad::onednn
