#include <dygrad/core/strided_pack.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace dygrad::raw {

namespace {

// Elements of any type are moved as words of their size.
using Byte [[gnu::may_alias]] = std::uint8_t;
using Word [[gnu::may_alias]] = std::uint32_t;
using DoubleWord [[gnu::may_alias]] = std::uint64_t;

/// Calls move(r, c) for every element, along the smaller step first, so that each cache line is used up at once.
template <class Move>
void for_each_element(const StridedBlock& b, const Move& move) {
  if (std::abs(b.row_step) < std::abs(b.column_step) && b.row_step != 0) {
    for (std::int64_t c = 0; c < b.columns; ++c) {
      for (std::int64_t r = 0; r < b.rows; ++r) move(r, c);
    }
  } else {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      for (std::int64_t c = 0; c < b.columns; ++c) move(r, c);
    }
  }
}

template <class W>
void pack_words(const StridedBlock& b, W* to) {
  const W* from = reinterpret_cast<const W*>(b.data);
  if (b.column_step == 0 && b.row_step == 0) {
    std::fill_n(to, b.rows * b.columns, *from);
  } else if (b.column_step == 0) {
    for (std::int64_t r = 0; r < b.rows; ++r) std::fill_n(to + r * b.columns, b.columns, from[r * b.row_step]);
  } else if (b.column_step == 1) {
    for (std::int64_t r = 0; r < b.rows; ++r) {
      std::memcpy(to + r * b.columns, from + r * b.row_step, static_cast<std::size_t>(b.columns) * sizeof(W));
    }
  } else {
    for_each_element(
        b, [&](std::int64_t r, std::int64_t c) { to[r * b.columns + c] = from[r * b.row_step + c * b.column_step]; });
  }
}

template <class W>
void unpack_words(const W* from, const StridedBlock& b) {
  W* to = reinterpret_cast<W*>(b.data);
  for_each_element(
      b, [&](std::int64_t r, std::int64_t c) { to[r * b.row_step + c * b.column_step] = from[r * b.columns + c]; });
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

}  // namespace dygrad::raw
