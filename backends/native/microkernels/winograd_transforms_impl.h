// The loops behind winograd_transforms.h, for vectors of any width; a part of kernels_impl.h.
#pragma once

namespace dygrad::native {

namespace {

constexpr int kMaxInRegisters = 4;

/// The matrix of a transform along one axis, see winograd_matrices.h.
template <int kM, int kR, Transform kTransform>
constexpr auto line_matrix() {
  constexpr int kPoints = kM + kR - 1;
  if constexpr (kTransform == Transform::output_adjoint) return output_matrix<kPoints, kM>();
  else if constexpr (kTransform == Transform::filter) return filter_matrix<kPoints, kR>();
  else if constexpr (kTransform == Transform::input_adjoint) return input_matrix<kPoints>();
  else if constexpr (kTransform == Transform::output) return transposed(output_matrix<kPoints, kM>());
  else if constexpr (kTransform == Transform::filter_adjoint) return transposed(filter_matrix<kPoints, kR>());
  else return transposed(input_matrix<kPoints>());
}

/// Calls f.template operator()<0>(), ..., <kCount - 1>().
template <class F, int... kIndices>
[[gnu::always_inline]] inline void unrolled(std::integer_sequence<int, kIndices...>, const F& f) {
  (f.template operator()<kIndices>(), ...);
}
template <int kCount, class F>
[[gnu::always_inline]] inline void unrolled(const F& f) {
  unrolled(std::make_integer_sequence<int, kCount>{}, f);
}

/// Calls f(0), ..., f(kCount - 1): unrolled for small tiles, which fit the registers, in a loop for large ones.
template <int kCount, class F>
[[gnu::always_inline]] inline void for_each_line(const F& f) {
  if constexpr (kCount <= kMaxInRegisters) {
    unrolled<kCount>([&]<int kIndex>() __attribute__((always_inline)) { f(kIndex); });
  } else {
#pragma GCC unroll 1
    for (int line = 0; line < kCount; ++line) f(line);
  }
}

/// out = M in along one axis.
template <int kM, int kR, Transform kTransform>
struct LineTransform {
  static constexpr auto kMatrix = line_matrix<kM, kR, kTransform>();
  static constexpr bool kReadsImage = kTransform == Transform::output_adjoint || kTransform == Transform::input;
  static constexpr int kOut = static_cast<int>(kMatrix.size()), kIn = static_cast<int>(kMatrix[0].size());

  template <class T>
  [[gnu::always_inline]] static inline void apply(const Vector<T>* in, Vector<T>* out) {
    unrolled<kOut>([&]<int kRow>() __attribute__((always_inline)) {
      Vector<T> sum{};
      unrolled<kIn>([&]<int kColumn>() __attribute__((always_inline)) {
        constexpr double kEntry = kMatrix[kRow][kColumn];
        constexpr bool kFirst = is_first(kRow, kColumn);
        if constexpr (kEntry == 0) return;
        else if constexpr (kFirst && kEntry == 1) sum = in[kColumn];
        else if constexpr (kFirst && kEntry == -1) sum = -in[kColumn];
        else if constexpr (kFirst) sum = static_cast<T>(kEntry) * in[kColumn];
        else if constexpr (kEntry == 1) sum += in[kColumn];
        else if constexpr (kEntry == -1) sum -= in[kColumn];
        else sum += static_cast<T>(kEntry) * in[kColumn];
      });
      out[kRow] = sum;
    });
  }

 private:
  /// All entries of the row before this one are 0.
  static constexpr bool is_first(int row, int column) {
    for (int j = 0; j < column; ++j) {
      if (kMatrix[row][j] != 0) return false;
    }
    return true;
  }
};

/// All rows of a tile, then all columns of that. What lies between stays in registers if it fits. Adds the squares of
/// what it reads of an image to two sums, as additions to one wait for each other.
template <class T, class Line, bool kPlain, bool kWhole>
[[gnu::always_inline]] inline void transform_vectors(const TransformTile<T>& tile, std::int64_t i, std::int64_t count,
                                                     Vector<T> (&squares)[2]) {
  constexpr int kIn = Line::kIn, kOut = Line::kOut;
  Vector<T> half[kOut][kIn];
  for_each_line<kIn>([&](int r) __attribute__((always_inline)) {
    Vector<T> in[kIn], out[kOut];
    unrolled<kIn>([&]<int c>() __attribute__((always_inline)) {
      const T* from = tile.in.data + (r * tile.in.row_step + c * tile.in.column_step + i);
      // Hardware prefetchers do not follow so many short streams.
      if constexpr (Line::kReadsImage) __builtin_prefetch(from + tile.ahead);
      if (!kPlain && (tile.in.outside >> (r * kIn + c) & 1)) in[c] = Vector<T>{};
      else in[c] = kWhole ? load(from) : load_part(from, count);
      if constexpr (Line::kReadsImage) squares[c % 2] += in[c] * in[c];
    });
    Line::template apply<T>(in, out);
    unrolled<kOut>([&]<int c>() __attribute__((always_inline)) { half[c][r] = out[c]; });
  });
  for_each_line<kOut>([&](int c) __attribute__((always_inline)) {
    Vector<T> out[kOut];
    Line::template apply<T>(half[c], out);
    unrolled<kOut>([&]<int r>() __attribute__((always_inline)) {
      const int place = r * kOut + c;
      T* to = tile.out.data + (r * tile.out.row_step + c * tile.out.column_step + i);
      if constexpr (!kPlain) {
        if (tile.out.outside >> place & 1) return;
        if (tile.added >> place & 1) out[r] += kWhole ? load(to) : load_part(to, count);
        else if (tile.init) out[r] += kWhole ? load(tile.init + i) : load_part(tile.init + i, count);
      }
      if (kWhole) store(to, out[r]);
      else store_part(to, out[r], count);
    });
  });
}

/// The last elements, fewer than a vector: through a buffer of whole vectors.
template <class T>
struct TailBuffer {
  T data[kMaxPoints * kLanes<T>];
  TileView<T> view(int columns) { return {data, columns * kLanes<T>, kLanes<T>}; }
};

template <class T>
inline void read_tail(const TileView<const T>& in, int rows, int columns, std::int64_t i, std::int64_t count, T* to) {
  for (int place = 0; place < rows * columns; ++place) {
    const bool is_outside = in.outside >> place & 1;
    const T* from = in.data + (place / columns * in.row_step + place % columns * in.column_step + i);
    for (std::int64_t j = 0; j < kLanes<T>; ++j) to[place * kLanes<T> + j] = j < count && !is_outside ? from[j] : T{0};
  }
}

template <class T>
inline void write_tail(const TransformTile<T>& tile, int rows, int columns, std::int64_t i, std::int64_t count,
                       const T* from) {
  for (int place = 0; place < rows * columns; ++place) {
    if (tile.out.outside >> place & 1) continue;
    const bool is_added = tile.added >> place & 1;
    T* to = tile.out.data + (place / columns * tile.out.row_step + place % columns * tile.out.column_step + i);
    for (std::int64_t j = 0; j < count; ++j) {
      const T start = is_added ? to[j] : tile.init ? tile.init[i + j] : T{0};
      to[j] = start + from[place * kLanes<T> + j];
    }
  }
}

template <class T>
inline T sum_of_lanes(Vector<T> v) {
  T sum{0};
  for (int i = 0; i < kLanes<T>; ++i) sum += v[i];
  return sum;
}

template <class T, class Line, bool kPlain>
[[gnu::noinline]] T transform_all(const TransformTile<T>& tile) {
  constexpr int kIn = Line::kIn, kOut = Line::kOut;
  Vector<T> squares[2]{};
  T of_tail{0};
  std::int64_t i = 0;
  for (; i + kLanes<T> <= tile.count; i += kLanes<T>)
    transform_vectors<T, Line, kPlain, true>(tile, i, kLanes<T>, squares);
  if (i < tile.count) {
    if constexpr (kVectorBytes == 64) {  // which can load and store a part
      transform_vectors<T, Line, kPlain, false>(tile, i, tile.count - i, squares);
    } else {
      TailBuffer<T> in, out;
      read_tail(tile.in, kIn, kIn, i, tile.count - i, in.data);
      const TileView<T> whole = in.view(kIn);
      of_tail = transform_all<T, Line, true>(
          {.in = {whole.data, whole.row_step, whole.column_step}, .out = out.view(kOut), .count = kLanes<T>});
      write_tail(tile, kOut, kOut, i, tile.count - i, out.data);
    }
  }
  return Line::kReadsImage ? of_tail + sum_of_lanes<T>(squares[0] + squares[1]) : T{0};
}

/// Filters are always whole and overwritten; the others have borders, overlaps and biases.
constexpr bool is_always_plain(Transform transform) {
  return transform == Transform::filter || transform == Transform::filter_adjoint;
}

template <class T, Transform kTransform, int kM, int kR>
T transform(const TransformTile<T>& tile) {
  using Line = LineTransform<kM, kR, kTransform>;
  const TransformTile<T> copy = tile;  // which stores cannot change
  const bool is_plain = !copy.init && (copy.added | copy.in.outside | copy.out.outside) == 0;
  if (is_always_plain(kTransform) || is_plain) return transform_all<T, Line, true>(copy);
  return transform_all<T, Line, is_always_plain(kTransform)>(copy);
}

template <class T, Transform kTransform>
constexpr void fill_transforms(Kernels<T>& kernels) {
  auto& of = kernels.transform[static_cast<int>(kTransform)];
  of[0][0] = transform<T, kTransform, 2, 2>, of[0][1] = transform<T, kTransform, 2, 3>;
  of[1][0] = transform<T, kTransform, 4, 2>, of[1][1] = transform<T, kTransform, 4, 3>;
}

}  // namespace

}  // namespace dygrad::native
