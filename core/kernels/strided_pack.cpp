#include <dygrad/core/kernels/strided_pack.h>

#include <algorithm>
#include <cstring>

#include <dygrad/core/simd/prefetch.h>

namespace dygrad::kernel {

namespace {

// Elements of any type are moved as words of their size.
using Byte [[gnu::may_alias]] = std::uint8_t;
using Word [[gnu::may_alias]] = std::uint32_t;
using DoubleWord [[gnu::may_alias]] = std::uint64_t;

// Four words or two double words in a register, for squares of 4 x 4 or 2 x 2 that are transposed in registers: element
// by element, every one would need a store of its own, and stores that wait keep a processor from fetching ahead.
using Words = std::uint32_t __attribute__((vector_size(16)));
using DoubleWords = std::uint64_t __attribute__((vector_size(16)));

template <class V, class W>
V load(const W* from) {
  V v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}
template <class V, class W>
void store(const V& v, W* to) {
  std::memcpy(to, &v, sizeof(v));
}

constexpr std::int64_t side_of_square(std::size_t element_size) {
  return element_size == 4 ? 4 : element_size == 8 ? 2 : 1;
}

void transpose_square(const Byte* from, std::int64_t, Byte* to, std::int64_t) { *to = *from; }

void transpose_square(const Word* from, std::int64_t from_stride, Word* to, std::int64_t to_stride) {
  const auto a = load<Words>(from), b = load<Words>(from + from_stride);
  const auto c = load<Words>(from + 2 * from_stride), d = load<Words>(from + 3 * from_stride);
  const Words ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Words cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store(__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), to);
  store(__builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7), to + to_stride);
  store(__builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5), to + 2 * to_stride);
  store(__builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7), to + 3 * to_stride);
}

void transpose_square(const DoubleWord* from, std::int64_t from_stride, DoubleWord* to, std::int64_t to_stride) {
  const auto a = load<DoubleWords>(from), b = load<DoubleWords>(from + from_stride);
  store(__builtin_shufflevector(a, b, 0, 2), to);
  store(__builtin_shufflevector(a, b, 1, 3), to + to_stride);
}

/// to[r * to_stride + c] = from[c * from_stride + r]. Fetches as many rows ahead: mostly they are next.
template <class W>
void transpose(const W* from, std::int64_t from_stride, W* to, std::int64_t to_stride, std::int64_t rows,
               std::int64_t columns) {
  constexpr std::int64_t kSide = side_of_square(sizeof(W)), kSize = sizeof(W);
  const std::int64_t even_rows = rows / kSide * kSide, even_columns = columns / kSide * kSide;
  for (std::int64_t c = 0; c < even_columns; c += kSide) {
    for (std::int64_t k = c; k < c + kSide; ++k) prefetch(from + k * from_stride + rows, rows * kSize);
    for (std::int64_t r = 0; r < even_rows; r += kSide)
      transpose_square(from + c * from_stride + r, from_stride, to + r * to_stride + c, to_stride);
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = c < even_columns ? even_rows : 0; r < rows; ++r)
      to[r * to_stride + c] = from[c * from_stride + r];
  }
}

template <class W>
void pack_words(const StridedBlock& b, W* to) {
  const W* from = reinterpret_cast<const W*>(b.data);
  if (b.column_stride == 0 && b.row_stride == 0) {
    std::fill_n(to, b.rows * b.columns, *from);
  } else if (b.column_stride == 0) {
    for (std::int64_t r = 0; r < b.rows; ++r) std::fill_n(to + r * b.columns, b.columns, from[r * b.row_stride]);
  } else if (b.column_stride == 1) {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      std::memcpy(to + r * b.columns, from + r * b.row_stride, static_cast<std::size_t>(b.columns) * sizeof(W));
    }
  } else if (b.row_stride == 1) {
    transpose(from, b.column_stride, to, b.columns, b.rows, b.columns);
  } else {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      for (std::int64_t c = 0; c < b.columns; ++c) to[r * b.columns + c] = from[r * b.row_stride + c * b.column_stride];
    }
  }
}

template <class W>
void unpack_words(const W* from, const StridedBlock& b) {
  W* to = reinterpret_cast<W*>(b.data);
  if (b.column_stride == 1) {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      std::memcpy(to + r * b.row_stride, from + r * b.columns, static_cast<std::size_t>(b.columns) * sizeof(W));
    }
  } else if (b.row_stride == 1) {
    transpose(from, b.columns, to, b.column_stride, b.columns, b.rows);
  } else {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      for (std::int64_t c = 0; c < b.columns; ++c) to[r * b.row_stride + c * b.column_stride] = from[r * b.columns + c];
    }
  }
}

}  // namespace

void pack(const StridedBlock& block, std::byte* dense) {
  switch (block.element_size) {
    case 1: return pack_words(block, reinterpret_cast<Byte*>(dense));
    case 4: return pack_words(block, reinterpret_cast<Word*>(dense));
    default: return pack_words(block, reinterpret_cast<DoubleWord*>(dense));
  }
}

void unpack(const std::byte* dense, const StridedBlock& block) {
  switch (block.element_size) {
    case 1: return unpack_words(reinterpret_cast<const Byte*>(dense), block);
    case 4: return unpack_words(reinterpret_cast<const Word*>(dense), block);
    default: return unpack_words(reinterpret_cast<const DoubleWord*>(dense), block);
  }
}

}  // namespace dygrad::kernel
