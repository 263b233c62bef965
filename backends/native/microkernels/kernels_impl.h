// The loops behind kernels.h, written once for vectors of any width. Included by one file per instruction set, which
// defines DYGRAD_VECTOR_BYTES and is compiled with that set's flags. Everything here has internal linkage and uses no
// library function, so that no code of a newer instruction set can leak into a file compiled without it.
#if DYGRAD_VECTOR_BYTES == 64
#include <immintrin.h>
#endif

#include <type_traits>
#include <utility>

#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/backends/native/microkernels/point_matrices.h>

namespace dygrad::native {

namespace {

constexpr int kVectorBytes = DYGRAD_VECTOR_BYTES;
constexpr int kTileRows = DYGRAD_TILE_ROWS;

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
/// The first `count` numbers of a vector; the others are 0 when loaded and stay untouched when stored.
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
/// The numbers in [first, first + count) of a vector.
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
inline void load_tile(const TileTarget<T>& tile, Vector<T> (&sums)[kRows][kVectors]) {
  const bool whole = tile.lanes == kVectors * kLanes<T>;
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      if (!tile.accumulate || tile.as_block) {
        // By the time that they are written, the rows have come from memory: stores wait for each other, these do not.
        __builtin_prefetch(tile.rows[i] + j * kLanes<T>, 1);
        sums[i][j] = tile.init ? load(tile.init + j * kLanes<T>) : Vector<T>{};
      } else if (whole || j < kVectors - 1) {
        sums[i][j] = load(tile.rows[i] + j * kLanes<T>);
      } else {
        sums[i][j] = load_part(tile.rows[i] + j * kLanes<T>, tile.lanes - j * kLanes<T>);
      }
    }
  }
}

template <class T, int kRows, int kVectors>
inline void store_tile(const TileTarget<T>& tile, const Vector<T> (&sums)[kRows][kVectors]) {
  const bool whole = tile.lanes == kVectors * kLanes<T>;
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      T* to = tile.rows[i] + j * kLanes<T>;
      const std::int64_t left = tile.lanes - j * kLanes<T>;
      if (whole || j < kVectors - 1) {
        store(to, tile.as_block ? load(to) + sums[i][j] : sums[i][j]);
      } else {
        store_part(to, tile.as_block ? load_part(to, left) + sums[i][j] : sums[i][j], left);
      }
    }
  }
}

/// sum[lane] += factor * row[lane]
template <class T>
inline void add_products(T factor, Vector<T> row, Vector<T>& sum) {
  sum += factor * row;
}
inline void add_products(Bf16Pair factor, Vector<Bf16Pair> row, Vector<float>& sum) {
  const Vector<Bf16Pair> factors = static_cast<std::uint32_t>(factor) - Vector<Bf16Pair>{};
#if DYGRAD_VECTOR_BYTES == 64 && defined(__AVX512BF16__)
  sum = (Vector<float>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)factors, (__m512bh)row);
#else
  constexpr std::uint32_t kSecond = 0xffff0000;  // bfloat16 is the upper half of float32
  sum += (Vector<float>)(factors << 16) * (Vector<float>)(row << 16);
  sum += (Vector<float>)(factors & kSecond) * (Vector<float>)(row & kSecond);
#endif
}

template <class T, int kRows, int kVectors>
void product(const ProductTile<T>& tile) {
  Vector<Sum<T>> sums[kRows][kVectors];
  load_tile(tile.target, sums);
  const T* const* a = tile.a;
  for (std::int64_t segment = 0; segment < tile.segments; ++segment) {
    const T* b = tile.b + tile.b_rows[segment] * tile.b_step;
    const std::int64_t begin = tile.a_offsets[segment], end = begin + tile.depth;
    constexpr std::int64_t kLine = 64 / sizeof(T);
    for (std::int64_t k = begin; k < end; ++k) {
      if ((k - begin) % kLine == 0) {
        for (int i = 0; i < kRows; ++i) __builtin_prefetch(a[kRows + i] + k, 0, 2);
      }
      Vector<T> row[kVectors];
      for (int j = 0; j < kVectors; ++j) row[j] = load(b + j * kLanes<T>);
      b += tile.b_step;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const T factor = a[i][k];
#pragma GCC unroll 2
        for (int j = 0; j < kVectors; ++j) add_products(factor, row[j], sums[i][j]);
      }
    }
  }
  store_tile(tile.target, sums);
}

template <class T, int kRows, int kVectors>
void outer(const OuterTile<T>& tile) {
  Vector<Sum<T>> sums[kRows][kVectors];
  load_tile(tile.target, sums);
  const std::int64_t a_offset = tile.a_offset, b_offset = tile.b_offset;
  for (std::int64_t k = 0; k < tile.depth; ++k) {
    const T *a = tile.a[k] + a_offset, *b = tile.b[k] + b_offset;
    Vector<T> row[kVectors];
    for (int j = 0; j < kVectors; ++j) row[j] = load(b + j * kLanes<T>);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const T factor = a[i];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) add_products(factor, row[j], sums[i][j]);
    }
  }
  store_tile(tile.target, sums);
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
void sum_shifted(const ShiftedRows<T>& rows, T init, std::int64_t count, T* y) {
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

/// The numbers of two vectors in turn: those of their first halves, and of their second ones. Where kPiece is less than
/// a vector, every piece of so many numbers is treated like that.
template <class T, int kPiece, int... kPlaces>
inline void zip(Vector<T> a, Vector<T> b, Vector<T>& first, Vector<T>& second, std::integer_sequence<int, kPlaces...>) {
  constexpr int n = sizeof...(kPlaces);
  first = __builtin_shufflevector(a, b, (kPlaces / kPiece * kPiece + kPlaces % kPiece / 2 + kPlaces % 2 * n)...);
  second = __builtin_shufflevector(
      a, b, (kPlaces / kPiece * kPiece + kPlaces % kPiece / 2 + kPiece / 2 + kPlaces % 2 * n)...);
}

/// Lines are zipped as often as it takes to halve their number down to 1: each time, one bit of the number of a line
/// changes places with one of the number of a column. Then pieces hold columns of kLines numbers, one after another.
template <class T, int kLines, int kPiece>
inline void zip_lines(Vector<T> (&v)[kLines]) {
  Vector<T> zipped[kLines];
#pragma GCC unroll 4
  for (int size = kLines; size > 1; size /= 2) {
#pragma GCC unroll 8
    for (int r = 0; r < kLines / 2; ++r) {
      zip<T, kPiece>(v[r], v[r + kLines / 2], zipped[2 * r], zipped[2 * r + 1],
                     std::make_integer_sequence<int, kLanes<T>>());
    }
#pragma GCC unroll 16
    for (int r = 0; r < kLines; ++r) v[r] = zipped[r];
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
    T piece __attribute__((vector_size(16)));
    __builtin_memcpy(&piece, lines[0] + i, sizeof piece);
    return piece;
  } else {
    return joined(load_pieces<T, kPieces / 2>(lines, i),
                  load_pieces<T, kPieces / 2>(lines + kPieces / 2 * kShort<T>, i),
                  std::make_integer_sequence<int, kPieces * kShort<T>>());
  }
}

/// As many lines and columns as a vector has numbers. Most of it is done by loads of a few numbers to their place,
/// which takes fewer registers than zipping whole lines.
template <class T>
inline void transpose_square(const T* const* lines, std::int64_t first, T* to, std::int64_t step) {
  constexpr int n = kLanes<T>, kPiece = kShort<T>;
  for (int i = 0; i < n; i += kPiece, to += kPiece * step) {
    Vector<T> v[kPiece];
#pragma GCC unroll 4
    for (int r = 0; r < kPiece; ++r) v[r] = load_pieces<T, n / kPiece>(lines + r, first + i);
    zip_lines<T, kPiece, kPiece>(v);
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
    zip_lines<T, kLines, n>(v);
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
#include <dygrad/backends/native/microkernels/transforms_impl.h>

namespace dygrad::native {

namespace {

template <class T>
constexpr TileKernels<T> tiles(const char* instruction_set) {
  constexpr int kSecond = kTileRows > 8 ? 8 : 4;
  constexpr int kThird = kSecond > 4 ? 4 : 3;
  return {
      .instruction_set = instruction_set,
      .lanes = static_cast<int>(kLanes<T>),
      .heights = {kTileRows, kSecond, kThird, 2, 1},
      .product = {{product<T, kTileRows, 1>, product<T, kSecond, 1>, product<T, kThird, 1>, product<T, 2, 1>,
                   product<T, 1, 1>},
                  {product<T, kTileRows, 2>, product<T, kSecond, 2>, product<T, kThird, 2>, product<T, 2, 2>,
                   product<T, 1, 2>}},
      .outer = {{outer<T, kTileRows, 1>, outer<T, kSecond, 1>, outer<T, kThird, 1>, outer<T, 2, 1>, outer<T, 1, 1>},
                {outer<T, kTileRows, 2>, outer<T, kSecond, 2>, outer<T, kThird, 2>, outer<T, 2, 2>, outer<T, 1, 2>}}};
}

template <class T>
constexpr Kernels<T> table(const char* instruction_set) {
  Kernels<T> kernels{tiles<T>(instruction_set), sum_shifted<T>, sum_patches<T>, sum_over_pixels<T>, transpose<T>, {}};
  fill_transforms<T, Transform::x_to_points>(kernels);
  fill_transforms<T, Transform::w_to_points>(kernels);
  fill_transforms<T, Transform::points_to_y>(kernels);
  fill_transforms<T, Transform::points_to_x>(kernels);
  fill_transforms<T, Transform::points_to_w>(kernels);
  fill_transforms<T, Transform::y_to_points>(kernels);
  return kernels;
}

}  // namespace

}  // namespace dygrad::native
