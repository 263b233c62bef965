// How the reference backend adds, so that what defines the meaning is right to the last digits. For its .cpp files.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace dygrad::reference {

/// What numbers of T are summed in.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, std::int64_t>, std::int64_t, double>;

/// Some neighbouring elements of a result while their products are added. Products of floats are summed in float64 in
/// blocks, and the blocks with compensation: what each addition rounds off is added up too.
/// Source: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54, 1974.
template <class S>
class RowOfSums {
 public:
  static constexpr std::int64_t kMax = 512;  ///< elements

  explicit RowOfSums(std::int64_t count) : count_(count) {
    std::fill_n(sums_.begin(), count, S{0});
    std::fill_n(block_.begin(), count, S{0});
    if constexpr (kCompensates) std::fill_n(lost_.begin(), count, S{0});
  }

  /// Where at most `terms` more products of each element may be added.
  S* block(std::int64_t terms) {
    if constexpr (kCompensates) {
      terms_ += terms;
      if (terms_ > kBlock) end_block(), terms_ = terms;
    }
    return block_.data();
  }

  template <class T>
  void write(T* to) {
    end_block();
    for (std::int64_t i = 0; i < count_; ++i) {
      S sum = sums_[i];
      if constexpr (kCompensates) {
        if (std::isfinite(sum)) sum += lost_[i];
      }
      to[i] = static_cast<T>(sum);
    }
  }

 private:
  static constexpr bool kCompensates = std::is_floating_point_v<S>;
  static constexpr std::int64_t kBlock = 256;  // products

  void end_block() {
    for (std::int64_t i = 0; i < count_; ++i) {
      const S more = block_[i], before = sums_[i];
      sums_[i] = before + more;
      block_[i] = 0;
      if constexpr (kCompensates) {
        const S added = sums_[i] - before;
        lost_[i] += (before - (sums_[i] - added)) + (more - added);
      }
    }
  }

  std::int64_t count_, terms_ = 0;
  std::array<S, kMax> block_, sums_, lost_;
};

}  // namespace dygrad::reference
