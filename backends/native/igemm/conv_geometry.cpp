#include <dygrad/backends/native/igemm/conv_geometry.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <dygrad/backends/native/microkernels/kernels.h>

namespace dygrad::native {

namespace {

/// Ranges of positions along one axis for which the same taps lie inside the image.
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

/// The interior: positions whose whole patch lies inside the image, and the offsets of its row taps from their pixel.
struct Interior {
  Range rows, columns;
  std::vector<std::int64_t> offsets;

  explicit Interior(const ConvGeometry& geometry)
      : rows(whole(geometry.rows, geometry.row_stride, geometry.row_taps, geometry.image_rows)),
        columns(whole(geometry.columns, geometry.column_stride, geometry.column_taps, geometry.image_columns)) {
    for (const std::int64_t tap : geometry.row_taps) {
      offsets.push_back((tap * geometry.image_columns + geometry.column_taps[0]) * geometry.pixel_size +
                        geometry.first_channel);
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

inline void next_position(const ConvGeometry& geometry, std::int64_t& n, std::int64_t& a, std::int64_t& b) {
  if (++b < geometry.columns) return;
  b = 0;
  if (++a < geometry.rows) return;
  a = 0;
  ++n;
}

bool are_adjacent(const std::vector<std::int64_t>& taps) {
  for (std::size_t i = 1; i < taps.size(); ++i) {
    if (taps[i] != taps[i - 1] + 1) return false;
  }
  return true;
}

/// Copies `count` elements. Where a few are wanted and there is room up to `end`, moves a fixed number, which is
/// faster; `to` must have room for kRoomBytes.
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

std::vector<BorderRegion> border_regions(const ConvGeometry& geometry) {
  std::vector<BorderRegion> regions;
  const auto rows = ranges_of_axis(geometry.rows, geometry.row_stride, geometry.row_taps, geometry.image_rows);
  const auto columns =
      ranges_of_axis(geometry.columns, geometry.column_stride, geometry.column_taps, geometry.image_columns);
  for (const auto& [positions_down, taps_down] : rows) {
    for (const auto& [positions_right, taps_right] : columns) {
      regions.push_back({positions_down, positions_right, taps_down, taps_right});
    }
  }
  return regions;
}

ConvGeometry conv2d_geometry(const Conv2DSizes& s, std::int64_t group) {
  const std::int64_t og = s.filters_in_group();
  ConvGeometry geometry{s.n, s.oh, s.ow, s.o, group * og, og, s.h, s.w, s.sh, s.sw, {}, {}};
  for (std::int64_t i = 0; i < s.kh; ++i) geometry.row_taps.push_back(i * s.dh - s.ph);
  for (std::int64_t j = 0; j < s.kw; ++j) geometry.column_taps.push_back(j * s.dw - s.pw);
  return geometry;
}

std::vector<SubkernelTaps> subkernel_taps(std::int64_t residues, std::int64_t kernel, std::int64_t stride,
                                          std::int64_t padding, std::int64_t dilation) {
  std::vector<SubkernelTaps> taps(static_cast<std::size_t>(residues));
  for (std::int64_t i = kernel - 1; i >= 0; --i) {
    const std::int64_t before = padding - i * dilation, residue = ceil_div(before, stride) * stride - before;
    if (residue >= residues) continue;
    taps[static_cast<std::size_t>(residue)].offsets.push_back((residue + before) / stride);
    taps[static_cast<std::size_t>(residue)].kernel.push_back(i);
  }
  return taps;
}

Subconvolution subconvolution_of(const Conv2DSizes& s, std::int64_t group, std::int64_t row, std::int64_t column,
                                 const SubkernelTaps& down, const SubkernelTaps& right) {
  const std::int64_t cg = s.channels_in_group();
  const std::int64_t rows = ceil_div(s.oh - row, s.sh), columns = ceil_div(s.ow - column, s.sw);
  Subconvolution sub{{s.n, s.h, s.w, s.c, group * cg, cg, rows, columns, 1, 1, {}, {}}, {}, {}};
  sub.geometry.row_taps = down.offsets, sub.kernel_rows = down.kernel;
  sub.geometry.column_taps = right.offsets, sub.kernel_columns = right.kernel;
  return sub;
}

template <class T>
void pack_patches(const ConvGeometry& geometry, const T* image, Range positions, T* out, std::int64_t leading_dim) {
  if (geometry.taps() == 0) return;
  const auto column_taps = static_cast<std::int64_t>(geometry.column_taps.size());
  const std::int64_t channels = geometry.channels, row_depth = column_taps * channels;
  const T* const end = image + geometry.batch * geometry.image_rows * geometry.image_columns * geometry.pixel_size;
  // Adjacent taps that read adjacent pixels, all channels of them, are one contiguous segment of memory.
  const bool adjacent = channels == geometry.pixel_size && are_adjacent(geometry.column_taps);
  // In the interior every patch is the same few segments: short ones are moved with a fixed size.
  const Interior interior(geometry);
  const bool fixed_size = adjacent && row_depth * static_cast<std::int64_t>(sizeof(T)) <= kRoomBytes;
  std::int64_t n = positions.first / (geometry.rows * geometry.columns);
  std::int64_t a = positions.first / geometry.columns % geometry.rows, b = positions.first % geometry.columns;
  for (std::int64_t q = positions.first; q < positions.last; ++q, out += leading_dim) {
    T* to = out;
    const std::int64_t column = b * geometry.column_stride;
    if (fixed_size && interior.contains(a, b)) {
      const T* from = image + ((n * geometry.image_rows + a * geometry.row_stride) * geometry.image_columns + column) *
                                  geometry.pixel_size;
      if (end - from >= interior.offsets.back() + kRoomBytes / static_cast<std::int64_t>(sizeof(T))) {
        for (const std::int64_t offset : interior.offsets) {
          __builtin_memcpy(to, from + offset, kRoomBytes);
          to += row_depth;
        }
        next_position(geometry, n, a, b);
        continue;
      }
    }
    for (const std::int64_t row_tap : geometry.row_taps) {
      const std::int64_t row = a * geometry.row_stride + row_tap;
      const T* pixels = image + (n * geometry.image_rows + row) * geometry.image_columns * geometry.pixel_size +
                        geometry.first_channel;
      if (row < 0 || row >= geometry.image_rows) {
        zero(to, row_depth);
      } else if (adjacent) {
        const std::int64_t first = column + geometry.column_taps[0];
        const std::int64_t before = std::clamp<std::int64_t>(-first, 0, column_taps);
        const std::int64_t inside = std::clamp<std::int64_t>(geometry.image_columns - first, before, column_taps);
        if (before > 0) zero(to, before * channels);
        if (before < inside)
          copy(to + before * channels, pixels + (first + before) * channels, (inside - before) * channels, end);
        if (inside < column_taps) zero(to + inside * channels, (column_taps - inside) * channels);
      } else {
        T* tap = to;
        for (const std::int64_t offset : geometry.column_taps) {
          const std::int64_t at = column + offset;
          if (at < 0 || at >= geometry.image_columns) zero(tap, channels);
          else copy(tap, pixels + at * geometry.pixel_size, channels, end);
          tap += channels;
        }
      }
      to += row_depth;
    }
    next_position(geometry, n, a, b);
  }
}

template void pack_patches(const ConvGeometry&, const float*, Range, float*, std::int64_t);
template void pack_patches(const ConvGeometry&, const Bf16Pair*, Range, Bf16Pair*, std::int64_t);
template void pack_patches(const ConvGeometry&, const double*, Range, double*, std::int64_t);

}  // namespace dygrad::native
