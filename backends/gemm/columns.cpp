#include <dygrad/backends/gemm/columns.h>

namespace dygrad::gemm {

namespace {

/// Walks the flattened (n, h, w) grid of input positions.
struct Position {
  Position(const Conv2DSizes& s, std::int64_t q) : n(q / (s.h * s.w)), h(q / s.w % s.h), w(q % s.w) {}
  void advance(const Conv2DSizes& s) {
    if (++w < s.w) return;
    w = 0;
    if (++h < s.h) return;
    h = 0;
    ++n;
  }
  std::int64_t n, h, w;
};

/// Neighbouring taps of one kernel row touch neighbouring pixels, so that a whole run of (j, o) is one span of
/// memory.
bool taps_are_adjacent(const Conv2DSizes& s) { return s.dw == 1 && s.groups == 1; }

/// The taps of [first, last) whose pixel, column_0 + tap, lies inside [0, width).
Range taps_inside(Range taps, std::int64_t column_0, std::int64_t width) {
  const std::int64_t first = std::clamp(-column_0, taps.first, taps.last);
  return {first, std::clamp(width - column_0, first, taps.last)};
}

}  // namespace

template <class T>
void gather_columns(const Conv2DSizes& s, const T* y, std::int64_t group, Range positions, Range taps, T* columns) {
  const std::int64_t og = s.filters_in_group();
  const bool adjacent = taps_are_adjacent(s);
  Position at(s, positions.first);
  for (std::int64_t q = positions.first; q < positions.last; ++q, at.advance(s)) {
    for (std::int64_t tap = taps.first; tap < taps.last;) {
      const std::int64_t i = tap / s.kw;
      const Range js{tap - i * s.kw, std::min(taps.last - i * s.kw, s.kw)};
      tap += js.size();
      const std::int64_t row = at.h * s.sh + i * s.dh - s.ph;
      if (row < 0 || row >= s.oh) {
        columns = std::fill_n(columns, js.size() * og, T{0});
        continue;
      }
      const std::int64_t column_0 = at.w * s.sw - s.pw;
      const T* pixels = y + (at.n * s.oh + row) * s.ow * s.o + group * og;
      if (adjacent) {
        const Range inside = taps_inside(js, column_0, s.ow);
        columns = std::fill_n(columns, (inside.first - js.first) * og, T{0});
        columns = std::copy_n(pixels + (column_0 + inside.first) * og, inside.size() * og, columns);
        columns = std::fill_n(columns, (js.last - inside.last) * og, T{0});
      } else {
        for (std::int64_t j = js.first; j < js.last; ++j) {
          const std::int64_t column = column_0 + j * s.dw;
          const bool inside = column >= 0 && column < s.ow;
          columns = inside ? std::copy_n(pixels + column * s.o, og, columns) : std::fill_n(columns, og, T{0});
        }
      }
    }
  }
}

template <class T>
void scatter_columns(const Conv2DSizes& s, const T* columns, std::int64_t group, Range positions, Range rows, T* y) {
  const std::int64_t og = s.filters_in_group(), row_length = s.kw * og;
  const bool adjacent = taps_are_adjacent(s);
  const auto add = [](const T* from, std::int64_t count, T* to) {
    for (std::int64_t k = 0; k < count; ++k) to[k] += from[k];
  };
  Position at(s, positions.first);
  for (std::int64_t q = positions.first; q < positions.last; ++q, at.advance(s)) {
    const std::int64_t column_0 = at.w * s.sw - s.pw;
    for (std::int64_t i = 0; i < s.kh; ++i, columns += row_length) {
      const std::int64_t row = at.h * s.sh + i * s.dh - s.ph;
      const std::int64_t global_row = at.n * s.oh + row;
      if (row < 0 || row >= s.oh || global_row < rows.first || global_row >= rows.last) continue;
      T* pixels = y + global_row * s.ow * s.o + group * og;
      if (adjacent) {
        const Range inside = taps_inside({0, s.kw}, column_0, s.ow);
        add(columns + inside.first * og, inside.size() * og, pixels + (column_0 + inside.first) * og);
      } else {
        for (std::int64_t j = 0; j < s.kw; ++j) {
          const std::int64_t column = column_0 + j * s.dw;
          if (column >= 0 && column < s.ow) add(columns + j * og, og, pixels + column * s.o);
        }
      }
    }
  }
}

Range positions_reaching(const Conv2DSizes& s, Range rows) {
  const std::int64_t n_first = rows.first / s.oh, n_last = (rows.last - 1) / s.oh;
  const std::int64_t top = rows.first - n_first * s.oh, bottom = rows.last - 1 - n_last * s.oh;
  const std::int64_t h_first = std::clamp<std::int64_t>(ceil_div(top + s.ph - (s.kh - 1) * s.dh, s.sh), 0, s.h);
  const std::int64_t h_last = std::clamp<std::int64_t>(floor_div(bottom + s.ph, s.sh) + 1, 0, s.h);
  const std::int64_t first = (n_first * s.h + h_first) * s.w;
  return {first, std::max(first, (n_last * s.h + h_last) * s.w)};
}

template void gather_columns(const Conv2DSizes&, const float*, std::int64_t, Range, Range, float*);
template void gather_columns(const Conv2DSizes&, const double*, std::int64_t, Range, Range, double*);
template void scatter_columns(const Conv2DSizes&, const float*, std::int64_t, Range, Range, float*);
template void scatter_columns(const Conv2DSizes&, const double*, std::int64_t, Range, Range, double*);

}  // namespace dygrad::gemm
