#include <dygrad/backends/native/igemm/patches.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <dygrad/backends/native/microkernels/kernels.h>

namespace dygrad::native {

namespace {

/// Runs of positions along one axis for which the same taps lie inside the image.
std::vector<std::pair<Range, Range>> ranges_of_axis(std::int64_t positions, std::int64_t stride,
                                                    const std::vector<std::int64_t>& taps, std::int64_t extent) {
  std::vector<std::pair<Range, Range>> ranges;
  for (std::int64_t q = 0; q < positions;) {
    const auto first = std::lower_bound(taps.begin(), taps.end(), -q * stride) - taps.begin();
    const auto last = std::lower_bound(taps.begin(), taps.end(), extent - q * stride) - taps.begin();
    const Range inside{first, std::max(first, last)};
    std::int64_t next = q + 1;
    if (inside.size() == static_cast<std::int64_t>(taps.size())) {  // then so it is up to where the last tap leaves
      next = taps.empty() ? positions : std::clamp((extent - 1 - taps.back()) / stride + 1, q + 1, positions);
    }
    if (!ranges.empty() && ranges.back().second.first == inside.first && ranges.back().second.last == inside.last) {
      ranges.back().first.last = next;
    } else {
      ranges.push_back({{q, next}, inside});
    }
    q = next;
  }
  return ranges;
}

/// The positions whose whole patch lies inside the image, and where its row taps begin, from the position's own pixel.
struct Inside {
  Range rows, columns;
  std::vector<std::int64_t> offsets;

  explicit Inside(const PatchGrid& grid)
      : rows(whole(grid.rows, grid.row_stride, grid.row_taps, grid.image_rows)),
        columns(whole(grid.columns, grid.column_stride, grid.column_taps, grid.image_columns)) {
    for (const std::int64_t tap : grid.row_taps) {
      offsets.push_back((tap * grid.image_columns + grid.column_taps[0]) * grid.pixel_size + grid.first_channel);
    }
  }
  bool contains(std::int64_t a, std::int64_t b) const {
    return a >= rows.first && a < rows.last && b >= columns.first && b < columns.last;
  }

 private:
  static Range whole(std::int64_t positions, std::int64_t stride, const std::vector<std::int64_t>& taps,
                     std::int64_t extent) {
    for (const auto& [range, inside] : ranges_of_axis(positions, stride, taps, extent)) {
      if (inside.size() == static_cast<std::int64_t>(taps.size())) return range;
    }
    return {0, 0};
  }
};

inline void next_position(const PatchGrid& grid, std::int64_t& n, std::int64_t& a, std::int64_t& b) {
  if (++b < grid.columns) return;
  b = 0;
  if (++a < grid.rows) return;
  a = 0;
  ++n;
}

bool are_adjacent(const std::vector<std::int64_t>& taps) {
  for (std::size_t i = 1; i < taps.size(); ++i) {
    if (taps[i] != taps[i - 1] + 1) return false;
  }
  return true;
}

/// Copies `count` numbers. Where a few are wanted and there is room up to `end`, moves a fixed number, which is faster;
/// `to` must have room for kRoomBytes.
constexpr std::int64_t kRoomBytes = 64;
template <class T>
inline void copy(T* to, const T* from, std::int64_t count, const T* end) {
  constexpr std::int64_t kRoom = kRoomBytes / sizeof(T);
  if (count <= kRoom && end - from >= kRoom) {
    __builtin_memcpy(to, from, kRoomBytes);
  } else {
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(T));
  }
}
template <class T>
inline void zero(T* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = T{0};
}

}  // namespace

std::vector<Region> regions_of(const PatchGrid& grid) {
  std::vector<Region> regions;
  const auto rows = ranges_of_axis(grid.rows, grid.row_stride, grid.row_taps, grid.image_rows);
  const auto columns = ranges_of_axis(grid.columns, grid.column_stride, grid.column_taps, grid.image_columns);
  for (const auto& [positions_down, taps_down] : rows) {
    for (const auto& [positions_right, taps_right] : columns) {
      regions.push_back({positions_down, positions_right, taps_down, taps_right});
    }
  }
  return regions;
}

PatchGrid patches_of_output(const Conv2DSizes& s, std::int64_t group) {
  const std::int64_t og = s.filters_in_group();
  PatchGrid grid{s.n, s.oh, s.ow, s.o, group * og, og, s.h, s.w, s.sh, s.sw, {}, {}};
  for (std::int64_t i = 0; i < s.kh; ++i) grid.row_taps.push_back(i * s.dh - s.ph);
  for (std::int64_t j = 0; j < s.kw; ++j) grid.column_taps.push_back(j * s.dw - s.pw);
  return grid;
}

std::vector<TapsOfPhase> taps_of_phases(std::int64_t phases, std::int64_t kernel, std::int64_t stride,
                                        std::int64_t padding, std::int64_t dilation) {
  std::vector<TapsOfPhase> taps(static_cast<std::size_t>(phases));
  for (std::int64_t i = kernel - 1; i >= 0; --i) {
    const std::int64_t before = padding - i * dilation, phase = ceil_div(before, stride) * stride - before;
    if (phase >= phases) continue;
    taps[static_cast<std::size_t>(phase)].offsets.push_back((phase + before) / stride);
    taps[static_cast<std::size_t>(phase)].kernel.push_back(i);
  }
  return taps;
}

Phase phase_of_output(const Conv2DSizes& s, std::int64_t group, std::int64_t row, std::int64_t column,
                      const TapsOfPhase& down, const TapsOfPhase& right) {
  const std::int64_t cg = s.channels_in_group();
  const std::int64_t rows = ceil_div(s.oh - row, s.sh), columns = ceil_div(s.ow - column, s.sw);
  Phase phase{{s.n, s.h, s.w, s.c, group * cg, cg, rows, columns, 1, 1, {}, {}}, {}, {}};
  phase.grid.row_taps = down.offsets, phase.kernel_rows = down.kernel;
  phase.grid.column_taps = right.offsets, phase.kernel_columns = right.kernel;
  return phase;
}

template <class T>
void pack_patches(const PatchGrid& grid, const T* image, Range positions, T* out, std::int64_t step) {
  if (grid.taps() == 0) return;
  const auto column_taps = static_cast<std::int64_t>(grid.column_taps.size());
  const std::int64_t channels = grid.channels, run = column_taps * channels;
  const T* const end = image + grid.batch * grid.image_rows * grid.image_columns * grid.pixel_size;
  // Neighbouring taps that read neighbouring pixels, all channels of them, make one stretch of memory.
  const bool adjacent = channels == grid.pixel_size && are_adjacent(grid.column_taps);
  // Inside the image every patch is the same few stretches: short ones are moved with a fixed size.
  const Inside whole(grid);
  const bool fixed_size = adjacent && run * static_cast<std::int64_t>(sizeof(T)) <= kRoomBytes;
  std::int64_t n = positions.first / (grid.rows * grid.columns);
  std::int64_t a = positions.first / grid.columns % grid.rows, b = positions.first % grid.columns;
  for (std::int64_t q = positions.first; q < positions.last; ++q, out += step) {
    T* to = out;
    const std::int64_t column = b * grid.column_stride;
    if (fixed_size && whole.contains(a, b)) {
      const T* from =
          image + ((n * grid.image_rows + a * grid.row_stride) * grid.image_columns + column) * grid.pixel_size;
      if (end - from >= whole.offsets.back() + kRoomBytes / static_cast<std::int64_t>(sizeof(T))) {
        for (const std::int64_t offset : whole.offsets) {
          __builtin_memcpy(to, from + offset, kRoomBytes);
          to += run;
        }
        next_position(grid, n, a, b);
        continue;
      }
    }
    for (const std::int64_t row_tap : grid.row_taps) {
      const std::int64_t row = a * grid.row_stride + row_tap;
      const T* pixels = image + (n * grid.image_rows + row) * grid.image_columns * grid.pixel_size + grid.first_channel;
      if (row < 0 || row >= grid.image_rows) {
        zero(to, run);
      } else if (adjacent) {
        const std::int64_t first = column + grid.column_taps[0];
        const std::int64_t before = std::clamp<std::int64_t>(-first, 0, column_taps);
        const std::int64_t inside = std::clamp<std::int64_t>(grid.image_columns - first, before, column_taps);
        if (before > 0) zero(to, before * channels);
        if (before < inside)
          copy(to + before * channels, pixels + (first + before) * channels, (inside - before) * channels, end);
        if (inside < column_taps) zero(to + inside * channels, (column_taps - inside) * channels);
      } else {
        T* tap = to;
        for (const std::int64_t offset : grid.column_taps) {
          const std::int64_t at = column + offset;
          if (at < 0 || at >= grid.image_columns) zero(tap, channels);
          else copy(tap, pixels + at * grid.pixel_size, channels, end);
          tap += channels;
        }
      }
      to += run;
    }
    next_position(grid, n, a, b);
  }
}

template void pack_patches(const PatchGrid&, const float*, Range, float*, std::int64_t);
template void pack_patches(const PatchGrid&, const Bf16Pair*, Range, Bf16Pair*, std::int64_t);
template void pack_patches(const PatchGrid&, const double*, Range, double*, std::int64_t);

}  // namespace dygrad::native
