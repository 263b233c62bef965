// The inner loops of reductions: they combine dense rows column by column, or dense lines to one value each.
//
// Note [Pairwise reduction]
// Rows are added into an array in the L1 cache, at most kLeafRows of them, eight at a time: a load and a store of
// that array for every row would take longer than fetching the row. A line is read strictly in order, as rows of
// kLanes. What leaves yield is combined pairwise, so that a sum of n values suffers about log2(n) roundings beyond
// those of a leaf.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <dygrad/core/simd/vectorize.h>

namespace dygrad::kernel {

inline constexpr std::int64_t kTileColumns = 1024;  // at a time: what is being added up stays in the L1 cache
inline constexpr std::int64_t kLeafRows = 16;
inline constexpr std::int64_t kLanes = 16;
inline constexpr std::int64_t kLeafLine = 2048;  // elements

struct Add {
  template <class T>
  static constexpr T kNeutral = -T{0};  // 0 + -0 would lose the sign of a sum of negative zeros
  template <class T>
  T operator()(T a, T b) const {
    return a + b;
  }
};

/// y, or a NaN if b is one; written with bits, since a second choice would keep g++ 12 from vectorising.
template <class T>
T propagate_nan(T y, T b) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  return std::bit_cast<T>(std::bit_cast<Bits>(y) | (Bits{0} - static_cast<Bits>(b != b)));
}

// NaN propagates.
struct Max {
  template <class T>
  static constexpr T kNeutral = -std::numeric_limits<T>::infinity();
  template <class T>
  T operator()(T a, T b) const {
    return propagate_nan(b > a ? b : a, b);
  }
};

struct Min {
  template <class T>
  static constexpr T kNeutral = std::numeric_limits<T>::infinity();
  template <class T>
  T operator()(T a, T b) const {
    return propagate_nan(b < a ? b : a, b);
  }
};

/// Dense rows of `columns` elements; successive rows are `stride` elements apart.
struct DenseRows {
  const void* x;
  std::int64_t count, stride, columns;
};

/// Lines of `length` dense elements, `stride` apart.
struct DenseLines {
  const void* x;
  std::int64_t count, stride, length;
};

/// The loops for one element type, result type and way to combine, for a driver that is compiled once for all.
struct ReductionKernels {
  std::size_t element_size, result_size;
  /// out[j] = combination of out[j] and other[j].
  void (*merge)(void* out, const void* other, std::int64_t columns);
  /// out[j] = combination of the rows' elements in column j; 1 to kLeafRows rows.
  void (*fold_rows)(const DenseRows& rows, void* out);
  /// out[i * out_stride] = combination of line i; at most kLeafLine elements each.
  void (*fold_lines)(const DenseLines& lines, void* out, std::int64_t out_stride);
};

namespace detail {

template <class Combine, class Acc>
void merge(void* to, const void* from, std::int64_t columns) {
  Acc* out = static_cast<Acc*>(to);
  const Acc* other = static_cast<const Acc*>(from);
  vectorize([=] {
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < columns; ++j) out[j] = Combine()(out[j], other[j]);
  });
}

template <class Combine, class In, class Acc>
void fold_rows(const DenseRows& rows, void* to) {
  Acc* out = static_cast<Acc*>(to);
  vectorize([rows, out] {
    constexpr Combine combine;
    const std::int64_t stride = rows.stride;
    const In* row = static_cast<const In*>(rows.x);
    const auto two = [&](std::int64_t r, std::int64_t j) {
      return combine(static_cast<Acc>(row[r * stride + j]), static_cast<Acc>(row[(r + 1) * stride + j]));
    };
    const auto eight = [&](std::int64_t j) {
      return combine(combine(two(0, j), two(2, j)), combine(two(4, j), two(6, j)));
    };
    std::int64_t r = 1;
    if (rows.count < 8) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < rows.columns; ++j) out[j] = static_cast<Acc>(row[j]);
      row += stride;
    } else {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < rows.columns; ++j) out[j] = eight(j);
      row += 8 * stride;
      for (r = 8; r + 8 <= rows.count; r += 8, row += 8 * stride) {
        DYGRAD_IVDEP
        for (std::int64_t j = 0; j < rows.columns; ++j) out[j] = combine(out[j], eight(j));
      }
    }
    for (; r < rows.count; ++r, row += stride) {
      DYGRAD_IVDEP
      for (std::int64_t j = 0; j < rows.columns; ++j) out[j] = combine(out[j], static_cast<Acc>(row[j]));
    }
  });
}

/// Combination of the lanes, as a tree. Sums have a loop for each level, since compilers make vectors of those whose
/// length they know; a largest number has too many steps for vectors as short as these.
template <class Combine, class Acc>
[[gnu::always_inline]] inline Acc fold_lanes(Acc (&lanes)[kLanes]) {
  constexpr Combine combine;
  if constexpr (std::is_same_v<Combine, Add>) {
    for (std::int64_t j = 0; j < kLanes / 2; ++j) lanes[j] = combine(lanes[j], lanes[j + kLanes / 2]);
    for (std::int64_t j = 0; j < kLanes / 4; ++j) lanes[j] = combine(lanes[j], lanes[j + kLanes / 4]);
    for (std::int64_t j = 0; j < kLanes / 8; ++j) lanes[j] = combine(lanes[j], lanes[j + kLanes / 8]);
    return combine(lanes[0], lanes[1]);
  } else {
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
      for (std::int64_t j = 0; j < half; ++j) lanes[j] = combine(lanes[j], lanes[j + half]);
    }
    return lanes[0];
  }
}

/// Combination of at(0), ..., at(length - 1): rows of lanes, eight at a time as a tree; in the end the lanes, as
/// another.
template <class Combine, class Acc, class At>
[[gnu::always_inline]] inline Acc fold_line(std::int64_t length, const At& at) {
  constexpr Combine combine;
  Acc lanes[kLanes];
  for (Acc& lane : lanes) lane = Combine::template kNeutral<Acc>;
  std::int64_t i = 0;
  for (; i + 8 * kLanes <= length; i += 8 * kLanes) {
    Acc tree[4 * kLanes];
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < 4 * kLanes; ++j) tree[j] = combine(at(i + j), at(i + 4 * kLanes + j));
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < 2 * kLanes; ++j) tree[j] = combine(tree[j], tree[j + 2 * kLanes]);
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] = combine(lanes[j], combine(tree[j], tree[j + kLanes]));
  }
  for (; i + kLanes <= length; i += kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] = combine(lanes[j], at(i + j));
  }
  for (std::int64_t j = 0; i + j < length; ++j) lanes[j] = combine(lanes[j], at(i + j));
  return fold_lanes<Combine>(lanes);
}

template <class Combine, class In, class Acc>
void fold_lines(const DenseLines& lines, void* to, std::int64_t out_stride) {
  Acc* out = static_cast<Acc*>(to);
  vectorize([lines, out, out_stride] {
    const In* x = static_cast<const In*>(lines.x);
    for (std::int64_t i = 0; i < lines.count; ++i, x += lines.stride) {
      out[i * out_stride] =
          fold_line<Combine, Acc>(lines.length, [x](std::int64_t at) { return static_cast<Acc>(x[at]); });
    }
  });
}

}  // namespace detail

template <class Combine, class In, class Acc>
inline constexpr ReductionKernels kReductionKernels{sizeof(In), sizeof(Acc), detail::merge<Combine, Acc>,
                                                    detail::fold_rows<Combine, In, Acc>,
                                                    detail::fold_lines<Combine, In, Acc>};

}  // namespace dygrad::kernel
