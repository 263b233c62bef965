// The partial sums of bwd_weights, to which rank-1 updates add. For implicit_gemm_weights.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include <dygrad/backends/native/igemm/conv_geometry.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

/// Leading dimension of the sums: from those of one channel to the next. A few columns are not padded.
template <class T>
std::int64_t sums_ld(std::int64_t columns) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  return columns < 8 * kLine ? columns : padded_leading_dim<T>(columns);
}

/// How patches are read.
enum class PatchAccess : std::uint8_t { in_place, packed, by_regions };

/// Partial sums of one thread and one group: sums[channel][row tap][column tap][filter], for some filters.
template <class T>
class WgradAccumulator {
 public:
  WgradAccumulator(const Conv2DSizes& s, std::int64_t group, Range filters, const T* x, const T* y, acc_t<T>* sums,
                   bool in_blocks)
      : s_(s),
        geometry_(patches_of(s, group, filters)),
        first_channel_(group * s.channels_in_group()),
        regions_(border_regions(geometry_)),
        x_(x),
        y_(y),
        sums_(sums),
        in_blocks_(in_blocks) {}

  /// Every patch consists of whole vectors in each border region.
  bool fits_in_place() const {
    const std::int64_t lanes = kernels<T>().lanes;
    if (geometry_.channels % lanes == 0) return true;
    return segments_span_columns() && std::all_of(regions_.begin(), regions_.end(), [&](const BorderRegion& region) {
             return region.column_taps.size() * geometry_.channels % lanes == 0;
           });
  }

  /// Adds border region by border region, reading y in place: patches must consist of whole vectors.
  void add_in_place(std::int64_t part, std::int64_t parts) {
    for (const BorderRegion& region : regions_) {
      const std::int64_t per_image = region.rows.size() * region.columns.size();
      for_each_block(part_of({0, s_.n * per_image}, part, parts), [&](Range block) {
        find_pixels(region, block);
        for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i)
          add_row_tap(i, region.column_taps, block.size());
      });
    }
  }

  /// The same with copies of what each row tap reads, for patches of any size.
  void add_by_regions(std::int64_t part, std::int64_t parts, T* scratch) {
    const std::int64_t step = packed_ld(geometry_.depth()), channels = geometry_.channels;
    for (const BorderRegion& region : regions_) {
      const std::int64_t per_image = region.rows.size() * region.columns.size();
      const Range columns = region.column_taps;
      for_each_block(part_of({0, s_.n * per_image}, part, parts), [&](Range block) {
        for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i) {
          find_pixels(region, block);
          for (std::int64_t q = 0; q < block.size(); ++q) {
            T* const copy = scratch + q * step;
            for (std::int64_t j = columns.first; j < columns.last; ++j) {
              const T* from = ys_[q] + (geometry_.row_taps[i] * s_.ow + geometry_.column_taps[j]) * s_.o;
              std::copy_n(from, channels, copy + (j - columns.first) * channels);
            }
            ys_[q] = copy;
          }
          add_columns(0, (i * s_.kw + columns.first) * channels, columns.size() * channels, block.size());
        }
      });
    }
  }

  /// Adds with copies of whole patches (im2row), so that taps fill up vectors that channels do not. Their zeros must
  /// not be multiplied by pixels that are not finite, see Note [Padding zeros and non-finite values].
  void add_packed(std::int64_t part, std::int64_t parts, T* scratch) {
    const std::int64_t step = packed_ld(geometry_.depth());
    const BorderRegion everywhere{{0, geometry_.rows}, {0, geometry_.columns}, {}, {}};
    for_each_block(part_of({0, geometry_.positions()}, part, parts), [&](Range block) {
      find_pixels(everywhere, block);
      pack_patches(geometry_, y_, block, scratch, step);
      for (std::int64_t q = 0; q < block.size(); ++q) ys_[q] = scratch + q * step;
      add_columns(0, 0, geometry_.depth(), block.size());
    });
  }

  /// Adds what one thread does.
  void count(PatchAccess patches, WorkCounts& counts) const {
    const std::int64_t channels = s_.channels_in_group(), all = geometry_.positions();
    ++counts.geometries;
    counts.result_rows += static_cast<double>(channels);
    counts.result_elements += static_cast<double>(channels * geometry_.depth());
    counts.positions += static_cast<double>(all);
    if (patches == PatchAccess::packed) {
      add_tiles(all, geometry_.depth(), 1, counts);
      const bool adjacent = geometry_.channels == geometry_.pixel_size && s_.dw == 1;
      counts.segment_copies += static_cast<double>(all) * static_cast<double>(adjacent ? s_.kh : s_.taps());
      counts.copied_elements += static_cast<double>(all * geometry_.depth());
      return;
    }
    for (const BorderRegion& region : regions_) {
      const std::int64_t positions = s_.n * region.rows.size() * region.columns.size();
      const std::int64_t together = segments_span_columns() ? region.column_taps.size() : 1;
      if (together > 0 && positions > 0)
        add_tiles(positions, together * geometry_.channels, static_cast<double>(region.taps() / together), counts);
    }
  }

  static std::int64_t packed_ld(std::int64_t depth) {
    return padded_leading_dim<T>(depth + kMaxNr + 64 / static_cast<std::int64_t>(sizeof(T)));
  }
  static constexpr std::int64_t kMaxPositions = 256;

 private:
  static ConvGeometry patches_of(const Conv2DSizes& s, std::int64_t group, Range filters) {
    ConvGeometry geometry = conv2d_geometry(s, group);
    geometry.first_channel += filters.first;
    geometry.channels = filters.size();
    return geometry;
  }
  bool segments_span_columns() const { return s_.dw == 1 && geometry_.channels == s_.o; }

  void add_tiles(std::int64_t positions, std::int64_t n, double times, WorkCounts& counts) const {
    const std::int64_t blocks = ceil_div(positions, kMaxPositions);
    counts.add_tiles<T>(s_.channels_in_group(), n, static_cast<double>(positions) / static_cast<double>(blocks),
                        times * static_cast<double>(blocks));
  }

  template <class F>
  static void for_each_block(Range positions, const F& f) {
    for (std::int64_t first = positions.first; first < positions.last; first += kMaxPositions)
      f(Range{first, std::min(first + kMaxPositions, positions.last)});
  }

  void find_pixels(const BorderRegion& region, Range block) {
    for_each_position(region, block, [&](std::int64_t i, std::int64_t n, std::int64_t h, std::int64_t w) {
      xs_[i] = x_ + ((n * s_.h + h) * s_.w + w) * s_.c + first_channel_;
      ys_[i] = y_ + ((n * s_.oh + h * s_.sh) * s_.ow + w * s_.sw) * s_.o + geometry_.first_channel;
    });
    copy_channels(block.size());
  }

  /// Pixels a power of two apart map to a few sets of all caches: they are copied then.
  void copy_channels(std::int64_t positions) {
    constexpr std::int64_t kAliasingBytes = 2048;
    if (s_.c * static_cast<std::int64_t>(sizeof(T)) % kAliasingBytes != 0) return;
    const std::int64_t channels = s_.channels_in_group(), step = packed_ld(channels);
    pixels_.resize(static_cast<std::size_t>(kMaxPositions * step));
    for (std::int64_t q = 0; q < positions; ++q) {
      T* const to = pixels_.data() + q * step;
      std::copy_n(xs_[q], channels, to);
      xs_[q] = to;
    }
  }

  void add_row_tap(std::int64_t i, Range column_taps, std::int64_t positions) {
    const std::int64_t together = segments_span_columns() ? column_taps.size() : 1;
    for (std::int64_t j = column_taps.first; j < column_taps.last; j += together) {
      add_columns((geometry_.row_taps[i] * s_.ow + geometry_.column_taps[j]) * s_.o,
                  (i * s_.kw + j) * geometry_.channels, together * geometry_.channels, positions);
    }
  }

  // Note [Packed panels of y]
  // Where many tiles read the same columns of y, some panels of these are packed first, and channels of x are blocked:
  // the panels and a block of channels stay in L2 while all of their sums are updated.

  /// sums[channel][column + i] += sum over positions of x[channel] * y[offset + i], for i in [0, count).
  void add_columns(std::int64_t offset, std::int64_t column, std::int64_t count, std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kTilesWorthACopy = 8;
    constexpr std::int64_t kChannels = (256 << 10) / kMaxPositions / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t channels = s_.channels_in_group(), chunks = ceil_div(channels, kChannels);
    const bool copied = channels >= kTilesWorthACopy * kernel.mr();
    const std::int64_t group = copied ? kPanelsCopied * kernel.nr() : count;
    for (std::int64_t first = 0; first < count; first += group) {
      const Range columns{first, std::min(first + group, count)};
      if (copied) copy_panels(offset, columns, positions);
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const Range own = part_of({0, channels}, chunk, chunks);
        for (std::int64_t i = columns.first; i < columns.last; i += kernel.nr()) {
          const std::int64_t panel = (i - columns.first) / kernel.nr();
          const std::int64_t width = std::min<std::int64_t>(kernel.nr(), columns.last - i);
          add_panel(own, column + i, width, copied ? panel_rows_.data() + panel * kMaxPositions : ys_.data(),
                    copied ? 0 : offset + i, positions);
        }
      }
    }
  }

  void copy_panels(std::int64_t offset, Range columns, std::int64_t positions) {
    panels_.resize(kPanelsCopied * kMaxPositions * kMaxNr);
    panel_rows_.resize(kPanelsCopied * kMaxPositions);
    const std::int64_t width = kernels<T>().nr();
    for (std::int64_t q = 0; q < positions; ++q) {
      for (std::int64_t i = columns.first; i < columns.last; i += width) {
        const std::int64_t place = (i - columns.first) / width * kMaxPositions + q;
        T* const row = panels_.data() + place * kMaxNr;
        std::copy_n(ys_[q] + offset + i, std::min(width, columns.last - i), row);
        panel_rows_[place] = row;
      }
    }
  }

  void add_panel(Range channels, std::int64_t column, std::int64_t columns, const T* const* ys, std::int64_t offset,
                 std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t step = sums_ld<acc_t<T>>(geometry_.depth());
    std::array<acc_t<T>*, kMaxMr> rows{};
    for_each_tile<T>(channels.size(), [&](std::int64_t row_of_tile, int variant) {
      const std::int64_t channel = channels.first + row_of_tile;
      for (int row = 0; row < kernel.mr_variants[variant]; ++row) rows[row] = sums_ + (channel + row) * step + column;
      kernel.rank1[columns > kernel.lanes ? 1 : 0][variant](
          {.a = xs_.data(),
           .b = ys,
           .a_offset = channel,
           .b_offset = offset,
           .depth = positions,
           .target = {rows.data(), columns, true, nullptr, in_blocks_}});
    });
  }

  static constexpr std::int64_t kPanelsCopied = 8;

  const Conv2DSizes& s_;
  ConvGeometry geometry_;
  std::int64_t first_channel_;  // of x, in this group
  std::vector<BorderRegion> regions_;
  const T *x_, *y_;
  acc_t<T>* sums_;
  bool in_blocks_;  // see Note [Blocked summation]
  std::array<const T*, kMaxPositions> xs_, ys_;
  std::vector<T> pixels_, panels_;
  std::vector<const T*> panel_rows_;
};

}  // namespace dygrad::native
