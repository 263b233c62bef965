#include <dygrad/backends/common/prepacked_weights.h>

#include <mutex>
#include <vector>

namespace dygrad {

namespace {

struct Entry {
  std::uint64_t version;
  std::int64_t offset;
  Shape shape;
  Strides strides;
  Ref<Prepacked> packed;
  bool is_made;  // else merely wanted once

  bool is_of(const Tensor& w) const {
    return version == w.impl()->storage->version() && offset == w.impl()->offset && shape == w.shape() &&
           strides == w.strides();
  }
};

class PrepackedCache final : public RefCounted {
 public:
  Ref<Prepacked> find(const Tensor& w, const Prepacked& wanted) const {
    const std::scoped_lock lock(mutex_);
    for (const Entry& entry : entries_) {
      if (entry.is_made && entry.is_of(w) && entry.packed->is(wanted)) return entry.packed;
    }
    return {};
  }

  void note_or_keep(const Tensor& w, Ref<Prepacked> wanted, Ref<Prepacked> made) {
    const std::scoped_lock lock(mutex_);
    for (Entry& entry : entries_) {
      if (!entry.is_of(w) || !entry.packed->is(*wanted)) continue;
      entry.packed = std::move(made);
      entry.is_made = true;
      return;
    }
    add(w, std::move(wanted), false);
  }
  void keep(const Tensor& w, Ref<Prepacked> made) {
    const std::scoped_lock lock(mutex_);
    add(w, std::move(made), true);
  }

 private:
  void add(const Tensor& w, Ref<Prepacked> packed, bool is_made) {
    const std::uint64_t version = w.impl()->storage->version();
    std::erase_if(entries_, [&](const Entry& old) { return old.version != version; });
    if (entries_.size() == kPrepackedPerStorage) entries_.erase(entries_.begin());
    entries_.push_back({version, w.impl()->offset, w.shape(), w.strides(), std::move(packed), is_made});
  }

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // oldest first
};

/// Made where there are none.
Ref<PrepackedCache> cache_of(const Tensor& w) {
  Storage& storage = *w.impl()->storage;
  const Ref<RefCounted> slot = storage.backend_slot();
  if (auto* cache = dynamic_cast<PrepackedCache*>(slot.get())) return Ref<PrepackedCache>(cache);
  Ref<PrepackedCache> made = make_ref<PrepackedCache>();
  storage.set_backend_slot(made);  // two threads may race here: the loser's reorder is merely made again
  return made;
}

}  // namespace

Ref<Prepacked> find_prepacked(const Tensor& w, const Prepacked& wanted) {
  const Ref<RefCounted> slot = w.impl()->storage->backend_slot();
  const auto* cache = dynamic_cast<const PrepackedCache*>(slot.get());
  return cache ? cache->find(w, wanted) : Ref<Prepacked>();
}

// Borrowed memory may change without a new version, so nothing is kept for it.
void keep_prepacked(const Tensor& w, Ref<Prepacked> wanted, Ref<Prepacked> made) {
  if (w.impl()->storage->is_borrowed()) return;
  cache_of(w)->note_or_keep(w, std::move(wanted), std::move(made));
}

void keep_small(const Tensor& w, Ref<Prepacked> made) {
  if (w.impl()->storage->is_borrowed()) return;
  cache_of(w)->keep(w, std::move(made));
}

}  // namespace dygrad
