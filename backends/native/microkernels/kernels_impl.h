// The loops behind kernels.h, written once for vectors of any width. Included by one file per instruction set, which
// defines DYGRAD_VECTOR_BYTES and is compiled with that set's flags. Everything here has internal linkage and uses no
// library function, so that no code of a newer instruction set can leak into a file compiled without it.
#if DYGRAD_VECTOR_BYTES == 64
#include <immintrin.h>
#endif

#include <type_traits>
#include <utility>

#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/backends/native/microkernels/winograd_matrices.h>

namespace dygrad::native {

namespace {

constexpr int kVectorBytes = DYGRAD_VECTOR_BYTES;
constexpr int kMr = DYGRAD_MR;

template <class T>
struct VectorOf {
  using Type __attribute__((vector_size(kVectorBytes))) = T;
};
template <>
struct VectorOf<Bf16Pair> : VectorOf<std::uint32_t> {};
template <class T>
using Vector = typename VectorOf<T>::Type;
template <class T>
constexpr std::int64_t kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
inline Vector<T> load(const T* p) {
  Vector<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(T* p, Vector<T> v) {
  __builtin_memcpy(p, &v, sizeof v);
}
/// The first `count` lanes of a vector; the others are 0 when loaded and stay untouched when stored.
#if DYGRAD_VECTOR_BYTES == 64
inline Vector<float> load_part(const float* p, std::int64_t count) {
  return (Vector<float>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << count) - 1), p);
}
inline Vector<double> load_part(const double* p, std::int64_t count) {
  return (Vector<double>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1U << count) - 1), p);
}
inline void store_part(float* p, Vector<float> v, std::int64_t count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << count) - 1), (__m512)v);
}
inline void store_part(double* p, Vector<double> v, std::int64_t count) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1U << count) - 1), (__m512d)v);
}
/// The lanes [first, first + count) of a vector.
inline void store_lanes(float* p, Vector<float> v, int first, std::int64_t count) {
  _mm512_mask_storeu_ps(p - first, static_cast<__mmask16>(((1U << count) - 1) << first), (__m512)v);
}
inline void store_lanes(double* p, Vector<double> v, int first, std::int64_t count) {
  _mm512_mask_storeu_pd(p - first, static_cast<__mmask8>(((1U << count) - 1) << first), (__m512d)v);
}
#else
template <class T>
inline Vector<T> load_part(const T* p, std::int64_t count) {
  Vector<T> v{};
  for (std::int64_t i = 0; i < count; ++i) v[i] = p[i];
  return v;
}
template <class T>
inline void store_part(T* p, Vector<T> v, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = v[i];
}
template <class T>
inline void store_lanes(T* p, Vector<T> v, int first, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) p[i] = v[first + i];
}
#endif

template <class T, int kRows, int kVectors>
inline void load_tile(const OutputTile<T>& tile, Vector<T> (&acc)[kRows][kVectors]) {
  const bool whole = tile.columns == kVectors * kLanes<T>;
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      if (!tile.accumulate || tile.blocked) {
        // Prefetches the rows of C, so that the stores at the end hit the cache.
        __builtin_prefetch(tile.rows[i] + j * kLanes<T>, 1);
        acc[i][j] = tile.init ? load(tile.init + j * kLanes<T>) : Vector<T>{};
      } else if (whole || j < kVectors - 1) {
        acc[i][j] = load(tile.rows[i] + j * kLanes<T>);
      } else {
        acc[i][j] = load_part(tile.rows[i] + j * kLanes<T>, tile.columns - j * kLanes<T>);
      }
    }
  }
}

template <class T, int kRows, int kVectors>
inline void store_tile(const OutputTile<T>& tile, const Vector<T> (&acc)[kRows][kVectors]) {
  const bool whole = tile.columns == kVectors * kLanes<T>;
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      T* to = tile.rows[i] + j * kLanes<T>;
      const std::int64_t left = tile.columns - j * kLanes<T>;
      if (whole || j < kVectors - 1) {
        store(to, tile.blocked ? load(to) + acc[i][j] : acc[i][j]);
      } else {
        store_part(to, tile.blocked ? load_part(to, left) + acc[i][j] : acc[i][j], left);
      }
    }
  }
}

/// sum[lane] += scalar * row[lane]
template <class T>
inline void multiply_add(T scalar, Vector<T> row, Vector<T>& sum) {
  sum += scalar * row;
}
inline void multiply_add(Bf16Pair scalar, Vector<Bf16Pair> row, Vector<float>& sum) {
  const Vector<Bf16Pair> broadcast = static_cast<std::uint32_t>(scalar) - Vector<Bf16Pair>{};
#if DYGRAD_VECTOR_BYTES == 64 && defined(__AVX512BF16__)
  sum = (Vector<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)broadcast, (__m512bh)row);
#else
  constexpr std::uint32_t kSecond = 0xffff0000;  // bfloat16 is the upper half of float32
  sum += (Vector<float>)(broadcast << 16) * (Vector<float>)(row << 16);
  sum += (Vector<float>)(broadcast & kSecond) * (Vector<float>)(row & kSecond);
#endif
}

template <class T, int kRows, int kVectors>
void igemm(const IgemmTile<T>& tile) {
  Vector<acc_t<T>> acc[kRows][kVectors];
  load_tile(tile.target, acc);
  const T* const* a = tile.a;
  for (std::int64_t segment = 0; segment < tile.num_segments; ++segment) {
    const T* b = tile.b + tile.b_rows[segment] * tile.ldb;
    const std::int64_t begin = tile.a_offsets[segment], end = begin + tile.depth;
    constexpr std::int64_t kLine = 64 / sizeof(T);
    for (std::int64_t k = begin; k < end; ++k) {
      if ((k - begin) % kLine == 0) {
        for (int i = 0; i < kRows; ++i) __builtin_prefetch(a[kRows + i] + k, 0, 2);
      }
      Vector<T> row[kVectors];
      for (int j = 0; j < kVectors; ++j) row[j] = load(b + j * kLanes<T>);
      b += tile.ldb;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const T scalar = a[i][k];
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) multiply_add(scalar, row[j], acc[i][j]);
      }
    }
  }
  store_tile(tile.target, acc);
}

template <class T, int kRows, int kVectors>
void rank1(const Rank1Tile<T>& tile) {
  Vector<acc_t<T>> acc[kRows][kVectors];
  load_tile(tile.target, acc);
  const std::int64_t a_offset = tile.a_offset, b_offset = tile.b_offset;
  for (std::int64_t k = 0; k < tile.depth; ++k) {
    const T *a = tile.a[k] + a_offset, *b = tile.b[k] + b_offset;
    Vector<T> row[kVectors];
    for (int j = 0; j < kVectors; ++j) row[j] = load(b + j * kLanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const T scalar = a[i];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) multiply_add(scalar, row[j], acc[i][j]);
    }
  }
  store_tile(tile.target, acc);
}

/// All bits of the lanes in [first, last).
template <class T>
inline auto lanes_between(std::int64_t first, std::int64_t last) {
  using Lane = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  using Lanes __attribute__((vector_size(kVectorBytes))) = Lane;
  Lanes lane;
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = static_cast<Lane>(i);
  return (lane >= static_cast<Lane>(first)) & (lane < static_cast<Lane>(last));
}

template <class T>
void col2im_row(const Col2imRows<T>& rows, T init, std::int64_t count, T* y) {
  constexpr std::int64_t n = kLanes<T>;
  for (std::int64_t q = 0; q < count; q += n) {
    Vector<T> sum = init - Vector<T>{};
    for (std::int64_t j = 0; j < rows.num_columns; ++j) {
      const std::int64_t first = rows.shifts[j] - q, last = first + rows.width, from = rows.offsets[j] - first;
      if (first >= n || last <= 0) continue;
      if (first <= 0 && last >= n) {
        for (std::int64_t r = 0; r < rows.num_rows; ++r) sum += load(rows.rows[r] + from);
      } else {
        const auto inside = lanes_between<T>(first < 0 ? 0 : first, last > n ? n : last);
        for (std::int64_t r = 0; r < rows.num_rows; ++r) {
          sum += (Vector<T>)((decltype(inside))load(rows.rows[r] + from) & inside);
        }
      }
    }
    store(y + q, sum);
  }
}

/// Interleaves two vectors: their first halves, and their second ones (unpacklo, unpackhi). Where kPiece is less than a
/// vector, this is done in every piece of so many lanes.
template <class T, int kPiece, int... kPlaces>
inline void interleave_pair(Vector<T> a, Vector<T> b, Vector<T>& first, Vector<T>& second,
                            std::integer_sequence<int, kPlaces...>) {
  constexpr int n = sizeof...(kPlaces);
  first = __builtin_shufflevector(a, b, (kPlaces / kPiece * kPiece + kPlaces % kPiece / 2 + kPlaces % 2 * n)...);
  second = __builtin_shufflevector(
      a, b, (kPlaces / kPiece * kPiece + kPlaces % kPiece / 2 + kPiece / 2 + kPlaces % 2 * n)...);
}

/// Rows are interleaved log2(kLines) times: each time one bit of the index of a row changes places with one of the
/// index of a column. Then pieces hold columns of kLines elements, one after another.
template <class T, int kLines, int kPiece>
inline void interleave_rows(Vector<T> (&v)[kLines]) {
  Vector<T> mixed[kLines];
#pragma GCC unroll 4
  for (int size = kLines; size > 1; size /= 2) {
#pragma GCC unroll 8
    for (int r = 0; r < kLines / 2; ++r) {
      interleave_pair<T, kPiece>(v[r], v[r + kLines / 2], mixed[2 * r], mixed[2 * r + 1],
                                 std::make_integer_sequence<int, kLanes<T>>());
    }
#pragma GCC unroll 16
    for (int r = 0; r < kLines; ++r) v[r] = mixed[r];
  }
}

/// 16 bytes of every so many lines, one after another.
template <class T>
constexpr int kShort = 16 / sizeof(T);
template <class A, int... kPlaces>
inline auto joined(A a, A b, std::integer_sequence<int, kPlaces...>) {
  return __builtin_shufflevector(a, b, kPlaces...);
}
template <class T, int kPieces>
inline auto load_pieces(const T* const* lines, std::int64_t i) {
  if constexpr (kPieces == 1) {
    T chunk __attribute__((vector_size(16)));
    __builtin_memcpy(&chunk, lines[0] + i, sizeof chunk);
    return chunk;
  } else {
    return joined(load_pieces<T, kPieces / 2>(lines, i),
                  load_pieces<T, kPieces / 2>(lines + kPieces / 2 * kShort<T>, i),
                  std::make_integer_sequence<int, kPieces * kShort<T>>());
  }
}

/// As many rows and columns as a vector has lanes. Most of it is done by loads of a few elements to their place, which
/// takes fewer registers than interleaving whole rows.
template <class T>
inline void transpose_square(const T* const* lines, std::int64_t first, T* to, std::int64_t step) {
  constexpr int n = kLanes<T>, kPiece = kShort<T>;
  for (int i = 0; i < n; i += kPiece, to += kPiece * step) {
    Vector<T> v[kPiece];
#pragma GCC unroll 4
    for (int r = 0; r < kPiece; ++r) v[r] = load_pieces<T, n / kPiece>(lines + r, first + i);
    interleave_rows<T, kPiece, kPiece>(v);
#pragma GCC unroll 4
    for (int r = 0; r < kPiece; ++r) store(to + r * step, v[r]);
  }
}

/// As transpose, for up to kLines lines.
template <class T, int kLines>
void transpose_lines(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step) {
  if constexpr (kLines > 1) {
    if (num_lines <= kLines / 2) return transpose_lines<T, kLines / 2>(lines, num_lines, count, to, step);
  }
  constexpr int n = static_cast<int>(kLanes<T>), kColumns = n / kLines;  // of a vector
  std::int64_t i = 0;
  if (kLines == n && num_lines == n) {
    for (; i + n <= count; i += n, to += n * step) transpose_square(lines, i, to, step);
  }
  const bool dense = num_lines == kLines && step == kLines;  // then columns follow each other without a gap
  for (; i < count; i += n, to += n * step) {
    const std::int64_t columns = count - i < n ? count - i : n;
    Vector<T> v[kLines];
    for (int r = 0; r < kLines; ++r) {
      v[r] = r >= num_lines ? Vector<T>{} : columns == n ? load(lines[r] + i) : load_part(lines[r] + i, columns);
    }
    interleave_rows<T, kLines, n>(v);
    if (dense) {
      for (std::int64_t r = 0, left = columns * kLines; left > 0; ++r, left -= n) {
        if (left >= n) store(to + r * n, v[r]);
        else store_part(to + r * n, v[r], left);
      }
    } else {
      for (int c = 0; c < columns; ++c) store_lanes(to + c * step, v[c / kColumns], c % kColumns * kLines, num_lines);
    }
  }
}

template <class T>
void transpose(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step) {
  constexpr int n = static_cast<int>(kLanes<T>);
  for (std::int64_t j = 0; j < num_lines; j += n) {
    const std::int64_t left = num_lines - j < n ? num_lines - j : n;
    transpose_lines<T, n>(lines + j, left, count, to + j, step);
  }
}

}  // namespace

}  // namespace dygrad::native

#include <dygrad/backends/native/microkernels/depthwise_impl.h>
#include <dygrad/backends/native/microkernels/winograd_transforms_impl.h>

namespace dygrad::native {

namespace {

template <class T>
constexpr Microkernels<T> microkernels(const char* instruction_set) {
  constexpr int kSecond = kMr > 8 ? 8 : 4;
  constexpr int kThird = kSecond > 4 ? 4 : 3;
  return {.instruction_set = instruction_set,
          .lanes = static_cast<int>(kLanes<T>),
          .mr_variants = {kMr, kSecond, kThird, 2, 1},
          .igemm = {{igemm<T, kMr, 1>, igemm<T, kSecond, 1>, igemm<T, kThird, 1>, igemm<T, 2, 1>, igemm<T, 1, 1>},
                    {igemm<T, kMr, 2>, igemm<T, kSecond, 2>, igemm<T, kThird, 2>, igemm<T, 2, 2>, igemm<T, 1, 2>}},
          .rank1 = {{rank1<T, kMr, 1>, rank1<T, kSecond, 1>, rank1<T, kThird, 1>, rank1<T, 2, 1>, rank1<T, 1, 1>},
                    {rank1<T, kMr, 2>, rank1<T, kSecond, 2>, rank1<T, kThird, 2>, rank1<T, 2, 2>, rank1<T, 1, 2>}}};
}

template <class T>
constexpr Kernels<T> table(const char* instruction_set) {
  Kernels<T> kernels{microkernels<T>(instruction_set), col2im_row<T>, dwconv<T>, dwconv_weights<T>, transpose<T>, {}};
  fill_transforms<T, Transform::output_adjoint>(kernels);
  fill_transforms<T, Transform::filter>(kernels);
  fill_transforms<T, Transform::input_adjoint>(kernels);
  fill_transforms<T, Transform::output>(kernels);
  fill_transforms<T, Transform::filter_adjoint>(kernels);
  fill_transforms<T, Transform::input>(kernels);
  return kernels;
}

}  // namespace

}  // namespace dygrad::native
