// The loops behind transforms.h, for vectors of any width; a part of kernels_impl.h.
#pragma once

namespace dygrad::native {

namespace {

/// y = C (A x . B w) along one axis of kTaps taps, as functions of get(i) and put(i, value).
template <int kTaps, Transform kTransform>
struct LineTransform;

template <Transform kTransform>
struct LineTransform<2, kTransform> {
  static constexpr bool kEvaluates = kTransform == Transform::x_to_points || kTransform == Transform::w_to_points;
  static constexpr bool kGivesBack = kTransform == Transform::points_to_x || kTransform == Transform::points_to_w;
  static constexpr int kIn = kEvaluates ? 2 : 3, kOut = kGivesBack ? 2 : 3;
  template <class Get, class Put>
  static inline void apply(const Get& get, const Put& put) {
    if constexpr (kEvaluates) {
      put(0, get(0)), put(1, get(0) - get(1)), put(2, get(1));
    } else if constexpr (kGivesBack) {
      put(0, get(0) + get(1)), put(1, get(2) - get(1));
    } else if constexpr (kTransform == Transform::points_to_y) {
      put(0, get(0)), put(1, get(0) + get(2) - get(1)), put(2, get(2));
    } else {
      put(0, get(0) + get(1)), put(1, -get(1)), put(2, get(1) + get(2));
    }
  }
};

template <Transform kTransform>
struct LineTransform<3, kTransform> {
  static constexpr int kIn = kTransform == Transform::x_to_points ? 2 : kTransform == Transform::w_to_points ? 3 : 4;
  static constexpr int kOut = kTransform == Transform::points_to_x ? 2 : kTransform == Transform::points_to_w ? 3 : 4;
  template <class Get, class Put>
  static inline void apply(const Get& get, const Put& put) {
    if constexpr (kTransform == Transform::x_to_points) {
      put(0, get(0)), put(1, get(0) + get(1)), put(2, get(0) - get(1)), put(3, get(1));
    } else if constexpr (kTransform == Transform::points_to_x) {
      put(0, get(0) + get(1) + get(2)), put(1, get(1) - get(2) + get(3));
    } else if constexpr (kTransform == Transform::w_to_points) {
      const auto outer = (get(0) + get(2)) / 2, inner = get(1) / 2;
      put(0, get(0)), put(1, outer + inner), put(2, outer - inner), put(3, get(2));
    } else if constexpr (kTransform == Transform::points_to_w) {
      const auto sum = (get(1) + get(2)) / 2, difference = (get(1) - get(2)) / 2;
      put(0, get(0) + sum), put(1, difference), put(2, sum + get(3));
    } else if constexpr (kTransform == Transform::points_to_y) {
      put(0, get(0)), put(1, get(1) - get(2) - get(3)), put(2, get(1) + get(2) - get(0)), put(3, get(3));
    } else {
      put(0, get(0) - get(2)), put(1, get(1) + get(2)), put(2, get(2) - get(1)), put(3, get(3) - get(1));
    }
  }
};

template <class T, class Rows, class Columns, bool kPlain, bool kWhole>
[[gnu::always_inline]] inline void transform_vectors(const TransformTile<T>& tile, std::int64_t i, std::int64_t count) {
  Vector<T> in[Rows::kIn][Columns::kIn], half[Rows::kIn][Columns::kOut];
#pragma GCC unroll 4
  for (int r = 0; r < Rows::kIn; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < Columns::kIn; ++c) {
      const T* from = tile.in.data + (r * tile.in.row_step + c * tile.in.column_step + i);
      if (!kPlain && (tile.in.outside >> (r * Columns::kIn + c) & 1)) in[r][c] = Vector<T>{};
      else in[r][c] = kWhole ? load(from) : load_part(from, count);
    }
    Columns::apply([&](int c) { return in[r][c]; }, [&](int c, Vector<T> v) { half[r][c] = v; });
  }
#pragma GCC unroll 4
  for (int c = 0; c < Columns::kOut; ++c) {
    Rows::apply([&](int r) { return half[r][c]; },
                [&](int r, Vector<T> v) {
                  const int place = r * Columns::kOut + c;
                  T* to = tile.out.data + (r * tile.out.row_step + c * tile.out.column_step + i);
                  if (!kPlain) {
                    if (tile.out.outside >> place & 1) return;
                    if (tile.added >> place & 1) v += kWhole ? load(to) : load_part(to, count);
                    else if (tile.init) v += kWhole ? load(tile.init + i) : load_part(tile.init + i, count);
                  }
                  if (kWhole) store(to, v);
                  else store_part(to, v, count);
                });
  }
}

/// The last numbers, fewer than a vector: through a buffer of whole vectors.
template <class T>
struct TailBuffer {
  T numbers[kMostPoints * kLanes<T>];
  TileView<T> view(int columns) { return {numbers, columns * kLanes<T>, kLanes<T>}; }
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

template <class T, class Rows, class Columns, bool kPlain>
inline void transform_all(const TransformTile<T>& tile) {
  std::int64_t i = 0;
  for (; i + kLanes<T> <= tile.count; i += kLanes<T>)
    transform_vectors<T, Rows, Columns, kPlain, true>(tile, i, kLanes<T>);
  if (i == tile.count) return;
  if constexpr (kVectorBytes == 64) {  // which can load and store a part
    transform_vectors<T, Rows, Columns, kPlain, false>(tile, i, tile.count - i);
  } else {
    TailBuffer<T> in, out;
    read_tail(tile.in, Rows::kIn, Columns::kIn, i, tile.count - i, in.numbers);
    const TileView<T> whole = in.view(Columns::kIn);
    transform_vectors<T, Rows, Columns, true, true>(
        {.in = {whole.data, whole.row_step, whole.column_step}, .out = out.view(Columns::kOut), .count = kLanes<T>}, 0,
        kLanes<T>);
    write_tail(tile, Rows::kOut, Columns::kOut, i, tile.count - i, out.numbers);
  }
}

/// Weights are always whole and written over; the others have borders, overlaps and biases.
constexpr bool is_always_plain(Transform transform) {
  return transform == Transform::w_to_points || transform == Transform::points_to_w;
}

template <class T, Transform kTransform, int kTaps>
void transform(const TransformTile<T>& tile) {
  using Line = LineTransform<kTaps, kTransform>;
  const TransformTile<T> copy = tile;  // which stores cannot change
  if (is_always_plain(kTransform) || (!copy.init && (copy.added | copy.in.outside | copy.out.outside) == 0)) {
    transform_all<T, Line, Line, true>(copy);
  } else if constexpr (!is_always_plain(kTransform)) {
    transform_all<T, Line, Line, false>(copy);
  }
}

template <class T, Transform kTransform>
constexpr void fill_transforms(Kernels<T>& kernels) {
  auto& of = kernels.transform[static_cast<int>(kTransform)];
  of[0] = transform<T, kTransform, 2>, of[1] = transform<T, kTransform, 3>;
}

}  // namespace

}  // namespace dygrad::native
