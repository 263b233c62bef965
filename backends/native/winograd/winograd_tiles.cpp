#include <dygrad/backends/native/winograd/winograd_tiles.h>

#include <numeric>

namespace dygrad::native {

namespace {

/// Bits of whole rows of a tile of so many columns, from bits of rows; and of whole columns likewise.
std::uint64_t spread_rows(std::uint64_t bits, int rows, int columns) {
  std::uint64_t spread = 0;
  for (int r = 0; r < rows; ++r) {
    if (bits >> r & 1) spread |= ((std::uint64_t{1} << columns) - 1) << (r * columns);
  }
  return spread;
}
std::uint64_t spread_columns(std::uint64_t bits, int rows, int columns) {
  std::uint64_t spread = 0;
  for (int r = 0; r < rows; ++r) spread |= bits << (r * columns);
  return spread;
}

}  // namespace

TileAxis::TileAxis(int m, std::int64_t input_extent, std::int64_t output_extent, std::int64_t kernel,
                   std::int64_t stride, std::int64_t dilation, std::int64_t padding)
    : m_(m),
      input_extent_(input_extent),
      kernel_(kernel),
      padding_(padding),
      common_(std::gcd(stride, dilation)),
      subkernels_(stride / common_),
      step_(dilation / common_),
      r_(ceil_div(kernel, subkernels_)) {
  std::vector<bool> reached(static_cast<std::size_t>(output_extent));
  for (std::int64_t residue = 0; residue < std::min(step_, input_extent); ++residue) {
    for (std::int64_t start = residue; start < input_extent; start += m * step_) starts_.push_back(start);
  }
  for (std::int64_t tile = 0; tile < tiles(); ++tile) {
    cut_tiles_ += is_cut(tile) ? 1 : 0;
    const int reachable = pixels_of(tile) + static_cast<int>(r_) - 1;
    bool is_whole = common_ == 1 && step_ == 1;
    for (std::int64_t subkernel = 0; subkernel < subkernels_; ++subkernel) {
      std::uint8_t outside = 0;
      for (int block = 0; block < points(); ++block) {
        const std::int64_t o = first_output(tile, subkernel) + block * output_step();
        if (o >= 0 && o < output_extent && block < reachable) reached[static_cast<std::size_t>(o)] = true;
        else outside = static_cast<std::uint8_t>(outside | 1U << block);
      }
      is_whole = is_whole && outside == 0;
      outside_.push_back(outside);
    }
    whole_.push_back(is_whole);
  }
  covers_ = std::all_of(reached.begin(), reached.end(), [](bool is) { return is; });
}

Tiles::Tiles(const Conv2DSizes& s, int m)
    : sizes_(s),
      rows_(m, s.h, s.oh, s.kh, s.sh, s.dh, s.ph),
      columns_(m, s.w, s.ow, s.kw, s.sw, s.dw, s.pw),
      last_row_(spread_rows(std::uint64_t{1} << (rows_.points() - 1), rows_.points(), columns_.points())),
      last_column_(spread_columns(std::uint64_t{1} << (columns_.points() - 1), rows_.points(), columns_.points())) {}

bool Tiles::suit(const Conv2DSizes& s) {
  const std::int64_t row_r = ceil_div(s.kh, s.sh / std::gcd(s.sh, s.dh));
  const std::int64_t column_r = ceil_div(s.kw, s.sw / std::gcd(s.sw, s.dw));
  return row_r == column_r && row_r >= 2 && row_r <= kMaxWinogradR;
}

Tiles::Place Tiles::after(Place place) const {
  if (++place.column < columns_.tiles()) return place;
  place.column = 0;
  if (++place.row < rows_.tiles()) return place;
  return {place.n + 1, 0, 0};
}

template <class F>
void Tiles::for_each(Range tiles, const F& f) const {
  Place place{tiles.first / per_image(), tiles.first % per_image() / columns_.tiles(), tiles.first % columns_.tiles()};
  for (std::int64_t i = 0; i < tiles.size(); ++i, place = after(place)) f(i, place);
}

void Tiles::find_rows(Range tiles, int point, std::vector<std::int64_t>& rows) const {
  if (rows_.cut_tiles() + columns_.cut_tiles() == 0) {
    rows.resize(static_cast<std::size_t>(tiles.size()));
    std::iota(rows.begin(), rows.end(), 0);
    return;
  }
  rows.clear();
  for_each(tiles, [&](std::int64_t i, const Place& place) {
    if ((zero_points(place.row, place.column) >> point & 1) == 0) rows.push_back(i);
  });
}

std::int64_t Tiles::first_pixel(const Place& place) const {
  const std::int64_t row = place.n * sizes_.h + rows_.first_input(place.row);
  return (row * sizes_.w + columns_.first_input(place.column)) * sizes_.c;
}

std::int64_t Tiles::first_block(const Place& place, std::int64_t row_subkernel, std::int64_t column_subkernel) const {
  const std::int64_t row = place.n * sizes_.oh + rows_.first_output(place.row, row_subkernel);
  return (row * sizes_.ow + columns_.first_output(place.column, column_subkernel)) * sizes_.o;
}

template <class T, class F>
void Tiles::for_each_segment(std::int64_t group, const Place& place, Range columns, T* y, const F& f) const {
  const std::int64_t og = sizes_.filters_in_group(), row_columns = columns_.subkernels() * og;
  const std::int64_t row_size = sizes_.ow * sizes_.o;
  const bool together = sizes_.groups == 1 && columns_.is_whole(place.column);
  const std::int64_t segment = together ? row_columns : og;
  for (std::int64_t column = columns.first; column < columns.last;) {
    const std::int64_t count = std::min(column - column % segment + segment, columns.last) - column;
    const std::int64_t row_subkernel = column / row_columns, column_subkernel = column % row_columns / og,
                       filter = column % og;
    const std::uint64_t outside =
        spread_rows(rows_.blocks_outside(place.row, row_subkernel), rows_.points(), columns_.points()) |
        (together ? 0
                  : spread_columns(columns_.blocks_outside(place.column, column_subkernel), rows_.points(),
                                   columns_.points()));
    const std::int64_t offset = first_block(place, row_subkernel, column_subkernel) + group * og + filter;
    f(column, count,
      TileView<T>{y + offset, rows_.output_step() * row_size, columns_.output_step() * sizes_.o, outside});
    column += count;
  }
}

template <class T>
TileView<T> Tiles::pixels_of(std::int64_t group, const Place& place, T* x) const {
  const std::int64_t row_size = sizes_.w * sizes_.c;
  const std::uint64_t outside = spread_rows(rows_.pixels_outside(place.row), rows_.m(), columns_.m()) |
                                spread_columns(columns_.pixels_outside(place.column), rows_.m(), columns_.m());
  return {x + first_pixel(place) + group * channels(), rows_.input_step() * row_size, columns_.input_step() * sizes_.c,
          outside};
}

template <class T>
void Tiles::transform_x(std::int64_t group, const T* x, Range tiles, const Matrix<T>& to, T* squares) const {
  const auto map = transform<T>(Transform::output_adjoint);
  for_each(tiles, [&](std::int64_t i, const Place& place) {
    const Place next = i + 1 < tiles.size() ? after(place) : place;
    squares[i] = map({.in = pixels_of(group, place, x),
                      .out = points_of(to, i),
                      .count = channels(),
                      .ahead = first_pixel(next) - first_pixel(place)});
  });
}

template <class T>
void Tiles::transform_y(std::int64_t group, const T* y, Range tiles, Range columns, const Matrix<T>& to,
                        T* squares) const {
  const auto map = transform<T>(Transform::input);
  for_each(tiles, [&](std::int64_t i, const Place& place) {
    const Place next = i + 1 < tiles.size() ? after(place) : place;
    const std::int64_t ahead = first_block(next, 0, 0) - first_block(place, 0, 0);
    TileView<T> out = points_of(to, i);
    squares[i] = T{0};
    for_each_segment(group, place, columns, y, [&](std::int64_t, std::int64_t count, const TileView<const T>& in) {
      squares[i] += map({.in = in, .out = out, .count = count, .ahead = ahead});
      out.data += count;
    });
  });
}

template <class T>
void Tiles::untransform_x(std::int64_t group, const Matrix<const T>& from, Range tiles, Range own_channels,
                          const T* init, T* x) const {
  const auto map = transform<T>(Transform::output);
  for_each(tiles, [&](std::int64_t i, const Place& place) {
    TileView<const T> in = points_of(from, i);
    in.outside = zero_points(place.row, place.column);
    map({.in = in, .out = pixels_of(group, place, x + own_channels.first), .count = own_channels.size(), .init = init});
  });
}

template <class T>
void Tiles::untransform_y(std::int64_t group, const Matrix<const T>& from, Range tiles, Range columns, const T* init,
                          bool added, T* y) const {
  const auto map = transform<T>(Transform::input_adjoint);
  const std::uint64_t overlapping_rows = spread_rows((1U << (rows_.r() - 1)) - 1, rows_.points(), columns_.points());
  const std::uint64_t overlapping_columns =
      spread_columns((1U << (columns_.r() - 1)) - 1, rows_.points(), columns_.points());
  for_each(tiles, [&](std::int64_t i, const Place& place) {
    TileView<const T> in = points_of(from, i);
    in.outside = zero_points(place.row, place.column);
    const std::uint64_t reached = added ? ~std::uint64_t{0}
                                        : (rows_.continues(place.row) ? overlapping_rows : 0) |
                                              (columns_.continues(place.column) ? overlapping_columns : 0);
    for_each_segment(group, place, columns, y, [&](std::int64_t column, std::int64_t count, const TileView<T>& out) {
      map({.in = in,
           .out = out,
           .count = count,
           .init = init ? init + (column - columns.first) : nullptr,
           .added = reached});
      in.data += count;
    });
  });
}

#define DYGRAD_TILES_OF(T)                                                                                    \
  template void Tiles::transform_x(std::int64_t, const T*, Range, const Matrix<T>&, T*) const;                \
  template void Tiles::transform_y(std::int64_t, const T*, Range, Range, const Matrix<T>&, T*) const;         \
  template void Tiles::untransform_x(std::int64_t, const Matrix<const T>&, Range, Range, const T*, T*) const; \
  template void Tiles::untransform_y(std::int64_t, const Matrix<const T>&, Range, Range, const T*, bool, T*) const;
DYGRAD_TILES_OF(float)
DYGRAD_TILES_OF(double)
#undef DYGRAD_TILES_OF

}  // namespace dygrad::native
