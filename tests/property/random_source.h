// Random arguments: mostly valid ones, some that are just outside, some extreme.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <random>

#include <dygrad/core/base/shape.h>

namespace dygrad::testing {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }
  /// In [0, n).
  std::int64_t below(std::int64_t n) { return static_cast<std::int64_t>(engine_() % static_cast<std::uint64_t>(n)); }
  /// In [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) { return low + below(high - low + 1); }
  bool one_in(std::int64_t n) { return below(n) == 0; }
  template <class T>
  T pick(std::initializer_list<T> items) {
    return items.begin()[below(static_cast<std::int64_t>(items.size()))];
  }

  std::int64_t extreme() {
    constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min(), kOne = 1;
    return pick<std::int64_t>({kMin, kMin + 1, -(kOne << 40), -(kOne << 31), -7, -1, 0, 1, kOne << 31, kOne << 40,
                               kOne << 61, kOne << 62, -(kMin + 1)});
  }
  /// Mostly in [low, high].
  std::int64_t wild(std::int64_t low, std::int64_t high) {
    if (one_in(16)) return extreme();
    if (one_in(8)) return between(low - 2, high + 2);
    return low <= high ? between(low, high) : low;
  }
  int wild_int(std::int64_t low, std::int64_t high) {
    return static_cast<int>(
        std::clamp<std::int64_t>(wild(low, high), std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
  }
  /// Mostly an axis, counted from either end.
  int axis(int rank) { return wild_int(-std::max(rank, 1), std::max(rank, 1) - 1); }

  /// Rank 0 to `most_rank`, extents 0 to 5, now and then one of hundreds.
  Shape shape(int most_rank = kMaxRank, bool with_empty = true) {
    Shape result;
    const std::int64_t rank = between(0, most_rank);
    std::int64_t count = 1;
    for (std::int64_t i = 0; i < rank; ++i) {
      std::int64_t extent = with_empty && one_in(24) ? 0 : between(1, 4);
      if (one_in(40)) extent = between(30, 300);
      if (count * std::max<std::int64_t>(extent, 1) > 1200) extent = 1;
      count *= std::max<std::int64_t>(extent, 1);
      result.push_back(extent);
    }
    return result;
  }
  /// Of a given rank.
  Shape shape_of_rank(int rank, std::int64_t most = 4, bool with_empty = true) {
    Shape result;
    for (int i = 0; i < rank; ++i) result.push_back(with_empty && one_in(24) ? 0 : between(1, most));
    return result;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace dygrad::testing
