#include <dygrad/backends/converted_weights.h>

#include <mutex>
#include <vector>

namespace dygrad {

namespace {

struct Entry {
  std::uint64_t version;
  std::int64_t offset;
  Shape shape;
  Strides strides;
  Ref<Conversion> conversion;

  bool is_of(const Tensor& w) const {
    return version == w.impl()->storage->version() && offset == w.impl()->offset && shape == w.shape() &&
           strides == w.strides();
  }
};

class Conversions final : public RefCounted {
 public:
  Ref<Conversion> find(const Tensor& w, const Conversion& wanted) const {
    const std::scoped_lock lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.is_of(w) && entry.conversion->is(wanted)) return entry.conversion;
    }
    return {};
  }

  void drop_all_but(std::uint64_t version) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(entries_, [&](const Entry& old) { return old.version != version; });
  }

  void insert(Entry made) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(entries_, [&](const Entry& old) { return old.version != made.version; });
    if (entries_.size() == kConversionsPerStorage) entries_.erase(entries_.begin());
    entries_.push_back(std::move(made));
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // oldest first
};

}  // namespace

Ref<Conversion> find_conversion(const Tensor& w, const Conversion& wanted) {
  const Ref<RefCounted> slot = w.impl()->storage->backend_slot();
  const auto* cache = dynamic_cast<const Conversions*>(slot.get());
  return cache ? cache->find(w, wanted) : Ref<Conversion>();
}

void drop_stale_conversions(const Tensor& w) {
  const Ref<RefCounted> slot = w.impl()->storage->backend_slot();
  if (auto* cache = dynamic_cast<Conversions*>(slot.get())) cache->drop_all_but(w.impl()->storage->version());
}

void keep_conversion(const Tensor& w, Ref<Conversion> made) {
  Storage& storage = *w.impl()->storage;
  Ref<RefCounted> slot = storage.backend_slot();
  auto* cache = dynamic_cast<Conversions*>(slot.get());
  if (!cache) {
    slot = make_ref<Conversions>();
    cache = static_cast<Conversions*>(slot.get());
    storage.set_backend_slot(slot);  // two threads may race here: the loser's conversion is merely made again
  }
  cache->insert({storage.version(), w.impl()->offset, w.shape(), w.strides(), std::move(made)});
}

}  // namespace dygrad
