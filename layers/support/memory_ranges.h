// Memory that a call is about to write, so that what it still has to read there is copied first. For the .cpp files of
// layers and optimizers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// By address: borrowed memory may belong to several storages.
class MemoryRanges {
 public:
  /// All that x's views may reach.
  void add(const Tensor& x) { ranges_.push_back(range_of(x)); }
  /// After the last add().
  void sort() {
    std::ranges::sort(ranges_, {}, &Range::begin);
    std::size_t kept = 0;
    for (const Range& range : ranges_) {
      if (kept > 0 && range.begin < ranges_[kept - 1].end) {
        ranges_[kept - 1].end = std::max(ranges_[kept - 1].end, range.end);
      } else {
        ranges_[kept++] = range;
      }
    }
    ranges_.resize(kept);
  }
  bool overlaps(const Tensor& x) const {
    const Range range = range_of(x);
    const auto after = std::ranges::lower_bound(ranges_, range.end, {}, &Range::begin);  // begins behind x
    return after != ranges_.begin() && (after - 1)->end > range.begin;
  }

 private:
  struct Range {
    std::uintptr_t begin = 0, end = 0;
  };
  static Range range_of(const Tensor& x) {
    const Storage& storage = *x.impl()->storage;
    const auto begin = reinterpret_cast<std::uintptr_t>(storage.data());
    return {begin, begin + storage.num_bytes()};
  }
  std::vector<Range> ranges_;
};

}  // namespace dygrad::detail
