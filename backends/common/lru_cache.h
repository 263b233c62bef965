// A bounded map that forgets what was not used for longest. Not thread-safe; caches here are thread-local.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace dygrad {

template <class Key, class Value, class Hash>
class LruCache {
 public:
  explicit LruCache(std::size_t capacity) : capacity_(capacity) {}

  std::size_t size() const { return entries_.size(); }

  /// The value of `key`, made by make() if absent. The reference holds until the next call.
  template <class Make>
  const Value& get(const Key& key, const Make& make) {
    if (!entries_.empty() && entries_.front().first == key) return entries_.front().second;  // asked again at once
    if (const auto found = index_.find(key); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().second;
    }
    Entries made;
    made.emplace_front(key, make());
    index_.emplace(key, made.begin());  // what may throw ends here: nothing has changed so far
    if (entries_.size() == capacity_) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.splice(entries_.begin(), made);
    return entries_.front().second;
  }

 private:
  using Entries = std::list<std::pair<Key, Value>>;

  std::size_t capacity_;
  Entries entries_;  // most recently used first
  std::unordered_map<Key, typename Entries::iterator, Hash> index_;
};

}  // namespace dygrad
