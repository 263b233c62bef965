// bwd_weights: the product of x, transposed, with the implicit im2row matrix of y, summed over all positions (K). Both
// are read in place, by rank-1 updates.
#include <array>

#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

// Note [Work partition of bwd_weights]
// Groups are distributed first. Then positions (split-K): each thread has partial sums, which are added at the end in a
// fixed order; or, where there are so many that this would cost more than reading x once per thread, filters. At the
// end a thread transposes what lies in its own caches.
struct WgradPartition {
  std::int64_t groups, filters, positions;

  WgradPartition(const Conv2DSizes& s, std::int64_t chunks) {
    constexpr std::int64_t kManySums = 1 << 17;
    groups = largest_divisor(chunks, s.groups);
    const bool many = num_elements(s.w_shape()) > kManySums;
    filters = many ? largest_divisor(chunks / groups, std::max<std::int64_t>(s.filters_in_group() / kMaxNr, 1)) : 1;
    positions = chunks / groups / filters;
  }
  std::int64_t chunks() const { return groups * filters * positions; }

  /// What one thread computes.
  struct Chunk {
    std::int64_t filter_part, position_part;
    Range groups, filters;
  };
  Chunk chunk(const Conv2DSizes& s, std::int64_t chunk) const {
    const std::int64_t part = chunk / positions;
    return {part % filters, chunk % positions, part_of({0, s.groups}, part / filters, groups),
            part_of({0, s.filters_in_group()}, part % filters, filters)};
  }

 private:
  static std::int64_t largest_divisor(std::int64_t number, std::int64_t limit) {
    std::int64_t divisor = std::min(number, limit);
    while (number % divisor != 0) --divisor;
    return divisor;
  }
};

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
          add_lanes(0, (i * s_.kw + columns.first) * channels, columns.size() * channels, block.size());
        }
      });
    }
  }

  /// Adds with copies of whole patches (im2row), so that taps fill up vectors that channels do not. Their zeros must
  /// not meet pixels that are not finite, see Note [Padding zeros and non-finite values].
  void add_packed(std::int64_t part, std::int64_t parts, T* scratch) {
    const std::int64_t step = packed_ld(geometry_.depth());
    const BorderRegion everywhere{{0, geometry_.rows}, {0, geometry_.columns}, {}, {}};
    for_each_block(part_of({0, geometry_.positions()}, part, parts), [&](Range block) {
      find_pixels(everywhere, block);
      pack_patches(geometry_, y_, block, scratch, step);
      for (std::int64_t q = 0; q < block.size(); ++q) ys_[q] = scratch + q * step;
      add_lanes(0, 0, geometry_.depth(), block.size());
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

  void add_tiles(std::int64_t positions, std::int64_t lanes, double times, WorkCounts& counts) const {
    const std::int64_t blocks = ceil_div(positions, kMaxPositions);
    counts.add_tiles<T>(s_.channels_in_group(), lanes, static_cast<double>(positions) / static_cast<double>(blocks),
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
      add_lanes((geometry_.row_taps[i] * s_.ow + geometry_.column_taps[j]) * s_.o, (i * s_.kw + j) * geometry_.channels,
                together * geometry_.channels, positions);
    }
  }

  // Note [Packed panels of y]
  // Where many tiles read the same lanes of y, some panels of these are packed first, and channels of x are blocked:
  // the panels and a block of channels stay in L2 while all of their sums are updated.

  /// sums[channel][lane + i] += sum over positions of x[channel] * y[offset + i], for i in [0, count).
  void add_lanes(std::int64_t offset, std::int64_t lane, std::int64_t count, std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kTilesWorthACopy = 8;
    constexpr std::int64_t kChannels = (256 << 10) / kMaxPositions / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t channels = s_.channels_in_group(), chunks = ceil_div(channels, kChannels);
    const bool copied = channels >= kTilesWorthACopy * kernel.mr();
    const std::int64_t group = copied ? kPanelsCopied * kernel.nr() : count;
    for (std::int64_t first = 0; first < count; first += group) {
      const Range lanes{first, std::min(first + group, count)};
      if (copied) copy_panels(offset, lanes, positions);
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const Range own = part_of({0, channels}, chunk, chunks);
        for (std::int64_t i = lanes.first; i < lanes.last; i += kernel.nr()) {
          const std::int64_t panel = (i - lanes.first) / kernel.nr();
          const std::int64_t width = std::min<std::int64_t>(kernel.nr(), lanes.last - i);
          add_panel(own, lane + i, width, copied ? panel_rows_.data() + panel * kMaxPositions : ys_.data(),
                    copied ? 0 : offset + i, positions);
        }
      }
    }
  }

  void copy_panels(std::int64_t offset, Range lanes, std::int64_t positions) {
    panels_.resize(kPanelsCopied * kMaxPositions * kMaxNr);
    panel_rows_.resize(kPanelsCopied * kMaxPositions);
    const std::int64_t width = kernels<T>().nr();
    for (std::int64_t q = 0; q < positions; ++q) {
      for (std::int64_t i = lanes.first; i < lanes.last; i += width) {
        const std::int64_t place = (i - lanes.first) / width * kMaxPositions + q;
        T* const row = panels_.data() + place * kMaxNr;
        std::copy_n(ys_[q] + offset + i, std::min(width, lanes.last - i), row);
        panel_rows_[place] = row;
      }
    }
  }

  void add_panel(Range channels, std::int64_t lane, std::int64_t lanes, const T* const* ys, std::int64_t offset,
                 std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t step = sums_ld<acc_t<T>>(geometry_.depth());
    std::array<acc_t<T>*, kMaxMr> rows{};
    for_each_tile<T>(channels.size(), [&](std::int64_t row_of_tile, int variant) {
      const std::int64_t channel = channels.first + row_of_tile;
      for (int row = 0; row < kernel.mr_variants[variant]; ++row) rows[row] = sums_ + (channel + row) * step + lane;
      kernel.rank1[lanes > kernel.lanes ? 1 : 0][variant]({.a = xs_.data(),
                                                           .b = ys,
                                                           .a_offset = channel,
                                                           .b_offset = offset,
                                                           .depth = positions,
                                                           .target = {rows.data(), lanes, true, nullptr, in_blocks_}});
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

/// Adds the partial sums [C/G, taps, filters] of one group and writes them as [C/G, O/G, taps], for some channels.
template <class T>
void add_and_transpose(const Conv2DSizes& s, Range channels, Range filters, const std::vector<const T*>& parts,
                       T* weights) {
  const std::int64_t taps = s.taps(), columns = taps * filters.size(), ld = sums_ld<T>(columns);
  std::vector<T> added(static_cast<std::size_t>(parts.size() > 1 ? columns : 0));
  std::vector<const T*> rows(static_cast<std::size_t>(taps));
  for (std::int64_t c = channels.first; c < channels.last; ++c) {
    const T* from = parts[0] + c * ld;
    if (parts.size() > 1) {
      std::copy_n(from, columns, added.data());
      for (std::size_t part = 1; part < parts.size(); ++part) {
        const T* more = parts[part] + c * ld;
        for (std::int64_t i = 0; i < columns; ++i) added[static_cast<std::size_t>(i)] += more[i];
      }
      from = added.data();
    }
    for (std::int64_t tap = 0; tap < taps; ++tap) rows[static_cast<std::size_t>(tap)] = from + tap * filters.size();
    kernels<T>().transpose(rows.data(), taps, filters.size(),
                           weights + (c * s.filters_in_group() + filters.first) * taps, taps);
  }
}

class ImplicitGemmWeights final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const WorkCounts counts = dispatch(problem, [&]<class T>() { return work_counts<T>(s); });
    constexpr double kPeakShare = 0.7;  // both operands of every update are loaded through pointers
    const double rate = kPeakShare * precision().flop_rate(problem.dtype, s.n);
    const double alone = counts.seconds(s, problem.dtype, rate);
    return precision().with_conversion(alone, num_elements(s.x_shape()) + num_elements(s.y_shape()));
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 protected:
  SumLengths sum_lengths(const Problem&) const override { return kBlocks; }

 private:
  /// Groups do the same work.
  template <class T>
  static WorkCounts work_counts(Conv2DSizes s) {
    s.n = num_packed<T>(s.n);
    const Range filters{0, s.filters_in_group()};
    const WgradAccumulator<T> group(s, 0, filters, nullptr, nullptr, nullptr, false);
    WorkCounts counts;
    group.count(fits_in_place<T>(s, WgradPartition(s, 1)) ? PatchAccess::in_place : PatchAccess::packed, counts);
    return counts * static_cast<double>(s.groups);
  }

  template <class T>
  static Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    Conv2DSizes s = conv2d_sizes(problem);
    const WgradPartition partition(s, num_native_chunks(s));
    const Tensor pixels = pack_batch<T>(x), image = pack_batch<T>(g);
    s.n = num_packed<T>(s.n);
    const PatchAccess patches = fits_in_place<T>(s, partition) ? PatchAccess::in_place : PatchAccess::packed;
    const Tensor w = sums_of<T>(problem, s, partition, patches, pixels, image);
    if (patches == PatchAccess::in_place || is_finite(w)) return w;
    return sums_of<T>(problem, s, partition, PatchAccess::by_regions, pixels, image);
  }

  template <class T>
  static bool fits_in_place(const Conv2DSizes& s, const WgradPartition& partition) {
    bool fits = true;
    for (std::int64_t part = 0; part < partition.filters; ++part) {
      const Range filters = part_of({0, s.filters_in_group()}, part, partition.filters);
      fits = fits && WgradAccumulator<T>(s, 0, filters, nullptr, nullptr, nullptr, false).fits_in_place();
    }
    return fits;
  }

  template <class T>
  static Tensor sums_of(const Problem& problem, const Conv2DSizes& s, const WgradPartition& partition,
                        PatchAccess patches, const Tensor& pixels, const Tensor& image) {
    const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
    const std::int64_t lanes = s.taps() * ceil_div(og, partition.filters);
    const Workspace<acc_t<T>> sums(partition.filters * partition.positions, s.c * sums_ld<acc_t<T>>(lanes));
    const auto part_of_sums = [&](const WgradPartition::Chunk& own, std::int64_t position_part, std::int64_t group) {
      const std::int64_t step = sums_ld<acc_t<T>>(s.taps() * own.filters.size());
      return sums.of_chunk(own.filter_part * partition.positions + position_part) + group * cg * step;
    };
    const Workspace<T> buffers(patches == PatchAccess::in_place ? 0 : partition.chunks(),
                               WgradAccumulator<T>::kMaxPositions * WgradAccumulator<T>::packed_ld(lanes));
    parallel_for_chunks(partition.chunks(), [&](std::int64_t chunk) {
      const WgradPartition::Chunk own = partition.chunk(s, chunk);
      for (std::int64_t group = own.groups.first; group < own.groups.last; ++group) {
        acc_t<T>* const to = part_of_sums(own, own.position_part, group);
        std::fill_n(to, cg * sums_ld<acc_t<T>>(s.taps() * own.filters.size()), acc_t<T>{0});
        WgradAccumulator<T> of_group(s, group, own.filters, pixels.data<T>(), image.data<T>(), to,
                                     sums_in_blocks(problem));
        const std::int64_t part = own.position_part, parts = partition.positions;
        if (patches == PatchAccess::in_place) of_group.add_in_place(part, parts);
        else if (patches == PatchAccess::packed) of_group.add_packed(part, parts, buffers.of_chunk(chunk));
        else of_group.add_by_regions(part, parts, buffers.of_chunk(chunk));
      }
    });

    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    acc_t<T>* const weights = w.mutable_data<acc_t<T>>();
    parallel_for_chunks(partition.chunks(), [&](std::int64_t chunk) {
      const WgradPartition::Chunk own = partition.chunk(s, chunk);
      for (std::int64_t group = own.groups.first; group < own.groups.last; ++group) {
        std::vector<const acc_t<T>*> parts;
        for (std::int64_t part = 0; part < partition.positions; ++part) parts.push_back(part_of_sums(own, part, group));
        add_and_transpose(s, part_of({0, cg}, own.position_part, partition.positions), own.filters, parts,
                          weights + group * cg * og * s.taps());
      }
    });
    return w;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_implicit_gemm_weights(const AlgorithmKey& key) {
  return std::make_unique<ImplicitGemmWeights>(key);
}

}  // namespace dygrad::native
