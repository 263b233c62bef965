// Microkernels: the innermost loops of every algorithm here, compiled per instruction set, chosen once per process.
//
// Note [Microkernels]
// A tile of MR x NR accumulators stays in registers while k runs; NR is two vectors, or one at the edge:
//   c[i][j] = init[j] + sum_k a(i, k) * b(k, j)
// Operands are not packed for it: `igemm` reads the patch of row i through one pointer per row and offsets that all
// rows share (an indirect convolution), `rank1` finds the operands of every k through two pointers. Every element is
// summed in the order of k, so a result does not depend on its place in a tile.
//
// Note [Blocked summation]
// Gradients of weights sum over all pixels of all images, a block of pixels at a time. Where these are many, each block
// is summed by itself and then added to the sum of those before it: n terms in blocks of b suffer about b + n / b
// roundings, not n. See Note [Long sums] in split_k.h for what is longer still.
//
// Note [VNNI pairs]
// Where operands may be rounded to bfloat16, processors multiply and add two of them at a time (VNNI): the element type
// of both operands is then a pair for two adjacent k, while accumulators stay float32. All that addresses, copies and
// packs operands works on pairs as on scalars; there are half as many along K.
//
// Sources: Van Zee and van de Geijn, "BLIS", ACM TOMS 41(3), 2015; Dukhan, "The indirect convolution algorithm",
// arXiv:1907.02129, 2019.
#pragma once

#include <cstdint>

#include <dygrad/backends/native/microkernels/depthwise_kernels.h>
#include <dygrad/backends/native/microkernels/winograd_transforms.h>

namespace dygrad::native {

/// Two bfloat16 scalars, the first in the low half. Subnormal ones count as 0.
enum class Bf16Pair : std::uint32_t {};

/// What products of T are accumulated in.
template <class T>
struct AccumulatorOf {
  using Type = T;
};
template <>
struct AccumulatorOf<Bf16Pair> {
  using Type = float;
};
template <class T>
using acc_t = typename AccumulatorOf<T>::Type;

/// Where the rows of C go, and what accumulators start from.
template <class T>
struct OutputTile {
  T* const* rows;
  std::int64_t columns;  ///< written of each row; only the last vector may be partial
  bool accumulate;       ///< start from what the rows hold (beta = 1)
  const T* init;         ///< else every row starts from these (whole vectors), or from 0 if null
  bool blocked = false;  ///< accumulate from 0, then add the tile to C: see Note [Blocked summation]
};

/// Rows of A are patches; k runs over `num_segments` segments of `depth` elements each:
/// a(i, k) = a[i][a_offsets[segment] + k], b(k, j) = b[(b_rows[segment] + k) * ldb + j].
/// As many more pointers must follow in `a`: the rows that will be read next, which are prefetched. Hardware
/// prefetchers do not follow so many short streams.
template <class T>
struct IgemmTile {
  const T* const* a;
  const T* b;
  std::int64_t ldb;
  const std::int64_t *a_offsets, *b_rows;
  std::int64_t num_segments, depth;
  OutputTile<acc_t<T>> target;
};

/// Rows of C are channels; k runs over pixels: a(i, k) = a[k][a_offset + i], b(k, j) = b[k][b_offset + j].
template <class T>
struct Rank1Tile {
  const T *const *a, *const *b;
  std::int64_t a_offset, b_offset, depth;
  OutputTile<acc_t<T>> target;
};

/// Rows of the col matrix, `width` elements each, each added once per kernel column, shifted right: at q it adds
/// rows[r][offsets[j] + q - shifts[j]] if 0 <= q - shifts[j] < width. Up to a vector before and behind a row is read as
/// well.
template <class T>
struct Col2imRows {
  const T* const* rows;
  std::int64_t num_rows;
  const std::int64_t *offsets, *shifts;
  std::int64_t num_columns, width;
};

/// Variants of MR: the first is what the registers hold, the others are for the rest.
inline constexpr int kNumMr = 5;
inline constexpr int kMaxMr = 14;  ///< MR, over all instruction sets
inline constexpr int kMaxNr = 32;  ///< NR, over all instruction sets

template <class T>
struct Microkernels {
  const char* instruction_set;
  int lanes;                                      ///< of one vector
  int mr_variants[kNumMr];                        ///< descending, the last is 1
  void (*igemm[2][kNumMr])(const IgemmTile<T>&);  ///< [vectors of N - 1][MR variant]
  void (*rank1[2][kNumMr])(const Rank1Tile<T>&);

  int mr() const { return mr_variants[0]; }
  int nr() const { return 2 * lanes; }
};

template <class T>
struct Kernels : Microkernels<T> {
  /// y[q] = init + what the rows add at q, for q in [0, count). Writes whole vectors.
  void (*col2im_row)(const Col2imRows<T>& rows, T init, std::int64_t count, T* y);
  /// pixel(p)[c] = init[c] + sum of patch(p, t)[c] * weight(t)[c] over t, see depthwise_kernels.h; or 0 where that is
  /// less, if `is_relu`.
  void (*dwconv)(const RowSegment& segment, const T* patches, const T* weights, const T* init, bool is_relu, T* pixels);
  /// weight(t)[c] += sum of patch(p, t)[c] * pixel(p)[c] over p.
  void (*dwconv_weights)(const RowSegment& segment, const T* patches, const T* pixels, T* weights);
  /// to[i * step + j] = lines[j][i] for i in [0, count), j in [0, num_lines).
  void (*transpose)(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step);
  /// [transform][m / 2 - 1][r - 2] of F(m x m, r x r), see winograd_transforms.h. Those that read an image return the
  /// sum of the squares of all that they read: infinite where these overflow, and NaN where one of them is.
  T (*transform[kNumTransforms][kNumWinogradM][kMaxWinogradR - 1])(const TransformTile<T>&);
};

template <>
struct Kernels<Bf16Pair> : Microkernels<Bf16Pair> {
  /// to[i] = from[i], rounded to nearest even.
  void (*round)(const float* from, std::int64_t count, std::uint16_t* to);
  /// to[i] = {first[i], second[i]}, rounded to nearest even.
  void (*interleave)(const float* first, const float* second, std::int64_t count, Bf16Pair* to);
};

/// The best that this processor runs. Those for Bf16Pair run only where multiplies_bf16_pairs() is true.
template <class T>
const Kernels<T>& kernels();

/// True if this processor has instructions for them.
bool multiplies_bf16_pairs();

}  // namespace dygrad::native
