// The innermost loops of every algorithm here, compiled once per instruction set and chosen once per process.
//
// Note [One tile]
// A tile is a few rows of sums of products, each row one or two vectors wide, that stay in registers while k runs:
//   c[i][j] = init[j] + sum_k a(i, k) * b(k, j)
// Nothing is copied together for it: `product` finds the pixels of a row's patch through one pointer per row and
// offsets that all rows share, `outer` finds the factors of every k through two pointers. Every number is summed in the
// order of k, so a result does not depend on where in a tile it was computed.
//
// Note [Blocks of products]
// Gradients of weights sum over all pixels of all images, a block of pixels at a time. Where these are many, each block
// is summed by itself and then added to the sum of those before it: n products in blocks of b suffer about b + n / b
// roundings, not n. See Note [Long sums] in split_k.h for what is longer still.
//
// Note [Pairs of bfloat16]
// Where factors may be rounded to bfloat16, processors multiply and add two of them at a time: the element type of both
// factors is then a pair for two neighbouring k, while sums stay float32. All that finds, copies and packs factors
// works on pairs as it does on numbers; there are half as many along k.
//
// Source: Dukhan, "The indirect convolution algorithm", arXiv:1907.02129, 2019.
#pragma once

#include <cstdint>

#include <dygrad/backends/native/microkernels/depthwise_kernels.h>
#include <dygrad/backends/native/microkernels/transforms.h>

namespace dygrad::native {

/// Two bfloat16 numbers, the first in the low half. Subnormal numbers count as 0.
enum class Bf16Pair : std::uint32_t {};

/// What products of T are summed in.
template <class T>
struct SumOf {
  using Type = T;
};
template <>
struct SumOf<Bf16Pair> {
  using Type = float;
};
template <class T>
using Sum = typename SumOf<T>::Type;

/// Where the rows of a tile go, and what they start from.
template <class T>
struct TileTarget {
  T* const* rows;
  std::int64_t lanes;  ///< numbers written of each row; only the last vector may be cut
  bool accumulate;     ///< starts from what the rows hold
  const T* init;       ///< else every row starts from these numbers (whole vectors), or from 0 if null
  bool as_block = false;  ///< starts from 0, and what the rows hold is added last: see Note [Blocks of products]
};

/// Rows are pixels; k runs over `segments` stretches of `depth` numbers each:
/// a(i, k) = a[i][a_offsets[segment] + k], b(k, j) = b[(b_rows[segment] + k) * b_step + j].
/// As many more pointers must follow in `a`: the rows that will be wanted next, whose memory is asked for in time. The
/// processor does not foresee so many short streams.
template <class T>
struct ProductTile {
  const T* const* a;
  const T* b;
  std::int64_t b_step;
  const std::int64_t *a_offsets, *b_rows;
  std::int64_t segments, depth;
  TileTarget<Sum<T>> target;
};

/// Rows are channels; k runs over pixels: a(i, k) = a[k][a_offset + i], b(k, j) = b[k][b_offset + j].
template <class T>
struct OuterTile {
  const T *const *a, *const *b;
  std::int64_t a_offset, b_offset, depth;
  TileTarget<Sum<T>> target;
};

/// Rows of `width` numbers, each of which counts once for every column, moved to the right: at q it has
///   rows[r][offsets[j] + q - shifts[j]]  if 0 <= q - shifts[j] < width, else nothing.
/// Up to a vector before and behind a row is read as well.
template <class T>
struct ShiftedRows {
  const T* const* rows;
  std::int64_t num_rows;
  const std::int64_t *offsets, *shifts;
  std::int64_t num_columns, width;
};

/// Tiles of several heights: the first is what the registers hold, the others do what is left over.
inline constexpr int kHeights = 5;
inline constexpr int kMaxRows = 14;   ///< of a tile, over all instruction sets
inline constexpr int kMaxPanel = 32;  ///< numbers in a row of a tile, over all instruction sets

template <class T>
struct TileKernels {
  const char* instruction_set;
  int lanes;                                            ///< numbers in one vector; a full row of a tile has two
  int heights[kHeights];                                ///< descending, the last is 1
  void (*product[2][kHeights])(const ProductTile<T>&);  ///< [vectors in a row - 1][height]
  void (*outer[2][kHeights])(const OuterTile<T>&);

  int rows() const { return heights[0]; }
  int panel() const { return 2 * lanes; }
};

template <class T>
struct Kernels : TileKernels<T> {
  /// y[q] = init + sum of what the rows have at q, for q in [0, count). Writes whole vectors.
  void (*sum_shifted)(const ShiftedRows<T>& rows, T init, std::int64_t count, T* y);
  /// pixel(p)[c] = init[c] + sum of patch(p, t)[c] * weight(t)[c] over t, see depthwise.h; or 0 where that is less, if
  /// `is_relu`.
  void (*sum_patches)(const PixelRun& run, const T* patches, const T* weights, const T* init, bool is_relu, T* pixels);
  /// weight(t)[c] += sum of patch(p, t)[c] * pixel(p)[c] over p.
  void (*sum_over_pixels)(const PixelRun& run, const T* patches, const T* pixels, T* weights);
  /// to[i * step + j] = lines[j][i] for i in [0, count), j in [0, num_lines).
  void (*transpose)(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step);
  /// Of tiles of [pixels / 2 - 1][taps - 2] along both axes, see transforms.h. Those that read an image return the sum
  /// of the squares of all that they read: infinite where these overflow, and not a number where one of them is none.
  T (*transform[kTransforms][kTileSizes][kMostWinogradTaps - 1])(const TransformTile<T>&);
};

template <>
struct Kernels<Bf16Pair> : TileKernels<Bf16Pair> {
  /// to[i] = from[i], rounded to nearest even.
  void (*round)(const float* from, std::int64_t count, std::uint16_t* to);
  /// to[i] = {first[i], second[i]}, rounded to nearest even.
  void (*interleave)(const float* first, const float* second, std::int64_t count, Bf16Pair* to);
};

/// The best that this processor runs. Those of pairs run only where multiplies_bf16_pairs().
template <class T>
const Kernels<T>& kernels();

/// True if this processor has instructions for them.
bool multiplies_bf16_pairs();

}  // namespace dygrad::native
