#include <dygrad/backends/gemm/blas.h>
#include <dygrad/backends/gemm/columns.h>
#include <dygrad/backends/gemm/kernels.h>
#include <dygrad/backends/gemm/tiles.h>

namespace dygrad::gemm {

namespace {

double multiplications(const Conv2DSizes& s) {
  return static_cast<double>(s.n * s.h * s.w) * static_cast<double>(s.c * s.filters_in_group() * s.taps());
}

}  // namespace

// Threads own rows of y. An input row near a border between two owners is multiplied by both, and each keeps its share.
template <class T>
void conv2d_transpose(const Conv2DSizes& s, const T* x, const T* weights, T* y) {
  const std::int64_t cg = s.channels_in_group(), width = s.taps() * s.filters_in_group();
  const Range all_rows{0, s.n * s.oh};
  const std::int64_t chunks = num_chunks(multiplications(s), all_rows.size());
  const ColumnTiles<T> tiles(chunks, s.n * s.h * s.w, width);
  parallel_for(chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      const Range rows = part_of(all_rows, chunk, chunks);
      T* columns = tiles.of_chunk(chunk);
      std::fill_n(y + rows.first * s.ow * s.o, rows.size() * s.ow * s.o, T{0});
      for (std::int64_t group = 0; group < s.groups; ++group) {
        tiles.for_each(positions_reaching(s, rows), [&](Range positions) {
          multiply(positions.size(), width, cg, {x + positions.first * s.c + group * cg, s.c},
                   {weights + group * cg * width, width}, false, columns, width);
          scatter_columns(s, columns, group, positions, rows, y);
        });
      }
    }
  });
}

// Threads own positions of x.
template <class T>
void conv2d(const Conv2DSizes& s, const T* y, const T* weights, T* x) {
  const std::int64_t cg = s.channels_in_group(), width = s.taps() * s.filters_in_group();
  const Range all_positions{0, s.n * s.h * s.w};
  const std::int64_t chunks = num_chunks(multiplications(s), all_positions.size());
  const ColumnTiles<T> tiles(chunks, all_positions.size(), width);
  parallel_for(chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      T* columns = tiles.of_chunk(chunk);
      for (std::int64_t group = 0; group < s.groups; ++group) {
        tiles.for_each(part_of(all_positions, chunk, chunks), [&](Range positions) {
          gather_columns(s, y, group, positions, {0, s.taps()}, columns);
          multiply(positions.size(), cg, width, {columns, width}, {weights + group * cg * width, width, true}, false,
                   x + positions.first * s.c + group * cg, s.c);
        });
      }
    }
  });
}

// Threads own blocks of the weights: a group, some of its taps, and some of its channels where taps are too few.
template <class T>
void conv2d_weights(const Conv2DSizes& s, const T* x, const T* y, T* weights) {
  constexpr std::int64_t kColumnsWanted = 128;  // wide enough for an efficient product
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), width = s.taps() * og;
  const std::int64_t chunks = num_chunks(multiplications(s), s.groups * s.taps() * cg);

  const std::int64_t tap_parts_wanted = std::max(width / kColumnsWanted, ceil_div(chunks, s.groups));
  const std::int64_t tap_parts = std::clamp<std::int64_t>(tap_parts_wanted, 1, s.taps());
  const std::int64_t channel_parts = std::min(ceil_div(chunks, s.groups * tap_parts), cg);
  const std::int64_t blocks = s.groups * tap_parts * channel_parts;

  const Range all_positions{0, s.n * s.h * s.w};
  const ColumnTiles<T> tiles(chunks, all_positions.size(), ceil_div(s.taps(), tap_parts) * og);
  parallel_for(chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) {
      T* columns = tiles.of_chunk(chunk);
      const Range own = part_of({0, blocks}, chunk, chunks);
      for (std::int64_t block = own.first; block < own.last; ++block) {
        const std::int64_t group = block / (tap_parts * channel_parts);
        const Range taps = part_of({0, s.taps()}, block / channel_parts % tap_parts, tap_parts);
        const Range channels = part_of({group * cg, (group + 1) * cg}, block % channel_parts, channel_parts);
        tiles.for_each(all_positions, [&](Range positions) {
          gather_columns(s, y, group, positions, taps, columns);
          multiply(channels.size(), taps.size() * og, positions.size(),
                   {x + positions.first * s.c + channels.first, s.c, true}, {columns, taps.size() * og},
                   positions.first > 0, weights + channels.first * width + taps.first * og, width);
        });
      }
    }
  });
}

template void conv2d_transpose(const Conv2DSizes&, const float*, const float*, float*);
template void conv2d_transpose(const Conv2DSizes&, const double*, const double*, double*);
template void conv2d(const Conv2DSizes&, const float*, const float*, float*);
template void conv2d(const Conv2DSizes&, const double*, const double*, double*);
template void conv2d_weights(const Conv2DSizes&, const float*, const float*, float*);
template void conv2d_weights(const Conv2DSizes&, const double*, const double*, double*);

}  // namespace dygrad::gemm
