// The loops behind kernels.h, written once for vectors of any width. Included by one file per instruction set, which
// defines DYGRAD_VECTOR_BYTES and is compiled with that set's flags. Everything here has internal linkage and uses no
// library function, so that no code of a newer instruction set can leak into a file compiled without it.
#if DYGRAD_VECTOR_BYTES == 64
#include <immintrin.h>
#endif

#include <utility>

#include <dygrad/backends/native/kernels.h>
#include <dygrad/backends/native/point_matrices.h>

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
#endif

template <class T, int kRows, int kVectors>
inline void load_tile(const TileTarget<T>& tile, Vector<T> (&sums)[kRows][kVectors]) {
  const bool whole = tile.lanes == kVectors * kLanes<T>;
  for (int i = 0; i < kRows; ++i) {
    for (int j = 0; j < kVectors; ++j) {
      if (!tile.accumulate) {
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
      if (whole || j < kVectors - 1) {
        store(to, sums[i][j]);
      } else {
        store_part(to, sums[i][j], tile.lanes - j * kLanes<T>);
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

/// Stores run over the end of a position's numbers, since the next position writes those again; the last ones do not.
template <class T>
void sum_rows(const T* const* rows, std::int64_t terms, std::int64_t row_step, std::int64_t positions,
              std::int64_t count, const T* init, T* y) {
  for (std::int64_t q = 0; q < positions; ++q) {
    const std::int64_t room = (positions - q) * count;
    for (std::int64_t i = 0; i < count; i += kLanes<T>) {
      Vector<T> sum = init ? load(init + i) : Vector<T>{};
      for (std::int64_t t = 0; t < terms; ++t) sum += load(rows[t] + q * row_step + i);
      if (i + kLanes<T> <= room) store(y + q * count + i, sum);
      else store_part(y + q * count + i, sum, count - i < kLanes<T> ? count - i : kLanes<T>);
    }
  }
}

template <class T>
void sum_products(const T* const* x, const T* const* w, std::int64_t terms, std::int64_t count, const T* init, T* y) {
  std::int64_t i = 0;
  for (; i + 2 * kLanes<T> <= count; i += 2 * kLanes<T>) {
    Vector<T> first = init ? load(init + i) : Vector<T>{}, second = init ? load(init + i + kLanes<T>) : Vector<T>{};
    for (std::int64_t t = 0; t < terms; ++t) {
      first += load(x[t] + i) * load(w[t] + i);
      second += load(x[t] + i + kLanes<T>) * load(w[t] + i + kLanes<T>);
    }
    store(y + i, first);
    store(y + i + kLanes<T>, second);
  }
  for (; i < count; ++i) {
    T sum = init ? init[i] : T{0};
    for (std::int64_t t = 0; t < terms; ++t) sum += x[t][i] * w[t][i];
    y[i] = sum;
  }
}

template <class T>
void accumulate_products(const T* x, std::int64_t x_step, const T* y, std::int64_t y_step, std::int64_t terms,
                         std::int64_t count, T* w) {
  std::int64_t i = 0;
  for (; i + 4 * kLanes<T> <= count; i += 4 * kLanes<T>) {
    Vector<T> sums[4];
    for (int j = 0; j < 4; ++j) sums[j] = load(w + i + j * kLanes<T>);
    for (std::int64_t k = 0; k < terms; ++k) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        sums[j] += load(x + k * x_step + i + j * kLanes<T>) * load(y + k * y_step + i + j * kLanes<T>);
      }
    }
    for (int j = 0; j < 4; ++j) store(w + i + j * kLanes<T>, sums[j]);
  }
  for (; i + kLanes<T> <= count; i += kLanes<T>) {
    Vector<T> sum = load(w + i);
    for (std::int64_t k = 0; k < terms; ++k) sum += load(x + k * x_step + i) * load(y + k * y_step + i);
    store(w + i, sum);
  }
  for (; i < count; ++i) {
    T sum = w[i];
    for (std::int64_t k = 0; k < terms; ++k) sum += x[k * x_step + i] * y[k * y_step + i];
    w[i] = sum;
  }
}

/// The numbers of two vectors in turn: those of their first halves, and of their second ones.
template <class T, int... kPlaces>
inline void zip(Vector<T> a, Vector<T> b, Vector<T>& first, Vector<T>& second, std::integer_sequence<int, kPlaces...>) {
  constexpr int n = sizeof...(kPlaces);
  first = __builtin_shufflevector(a, b, (kPlaces / 2 + kPlaces % 2 * n)...);
  second = __builtin_shufflevector(a, b, (kPlaces / 2 + n / 2 + kPlaces % 2 * n)...);
}

/// A square matrix of vectors is transposed when its rows have been zipped as often as it takes to halve n down to 1:
/// each time, one bit of the number of a row changes places with one of the number of a column.
template <class T>
void transpose(const T* const* lines, std::int64_t num_lines, std::int64_t count, T* to, std::int64_t step) {
  constexpr int n = static_cast<int>(kLanes<T>);
  for (std::int64_t j = 0; j < num_lines; j += n) {
    for (std::int64_t i = 0; i < count; i += n) {
      const std::int64_t rows = num_lines - j < n ? num_lines - j : n, columns = count - i < n ? count - i : n;
      Vector<T> v[n], zipped[n];
#pragma GCC unroll 16
      for (int r = 0; r < n; ++r) {
        v[r] = r >= rows ? Vector<T>{} : columns == n ? load(lines[j + r] + i) : load_part(lines[j + r] + i, columns);
      }
      for (int size = n; size > 1; size /= 2) {
#pragma GCC unroll 8
        for (int r = 0; r < n / 2; ++r) {
          zip<T>(v[r], v[r + n / 2], zipped[2 * r], zipped[2 * r + 1], std::make_integer_sequence<int, n>());
        }
#pragma GCC unroll 16
        for (int r = 0; r < n; ++r) v[r] = zipped[r];
      }
#pragma GCC unroll 16
      for (int c = 0; c < n; ++c) {
        if (c >= columns) break;
        if (rows == n) store(to + (i + c) * step + j, v[c]);
        else store_part(to + (i + c) * step + j, v[c], rows);
      }
    }
  }
}

}  // namespace

}  // namespace dygrad::native

#include <dygrad/backends/native/transforms_impl.h>

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
  Kernels<T> kernels{tiles<T>(instruction_set), sum_rows<T>, sum_products<T>, accumulate_products<T>, transpose<T>, {}};
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
