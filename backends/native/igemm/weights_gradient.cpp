// The gradient of the weights: for every channel of x and every number of y's patches, the sum of their products over
// all positions. A product of two tall matrices, one of which is x itself and the other lies scattered in y.
#include <array>

#include <dygrad/backends/common/plain_sums.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/igemm/steps.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/packing/precision.h>

namespace dygrad::native {

namespace {

// Note [Who sums what]
// Threads share out groups first: these have different sums. Then they share out positions, each with sums of its own
// that are added at the end in a fixed order; or, where the sums are so many that this would cost more than reading x
// once per thread, filters. At the end a thread puts in order what lies in its own caches.
struct Division {
  std::int64_t groups, filters, positions;

  Division(const Conv2DSizes& s, std::int64_t pieces) {
    constexpr std::int64_t kManySums = 1 << 17;
    groups = largest_divisor(pieces, s.groups);
    const bool many = num_elements(s.w_shape()) > kManySums;
    filters = many ? largest_divisor(pieces / groups, std::max<std::int64_t>(s.filters_in_group() / kMaxPanel, 1)) : 1;
    positions = pieces / groups / filters;
  }
  std::int64_t pieces() const { return groups * filters * positions; }

  /// Who does what of it.
  struct Share {
    std::int64_t filter_part, position_part;
    Range groups, filters;
  };
  Share share(const Conv2DSizes& s, std::int64_t piece) const {
    const std::int64_t part = piece / positions;
    return {part % filters, piece % positions, part_of({0, s.groups}, part / filters, groups),
            part_of({0, s.filters_in_group()}, part % filters, filters)};
  }

 private:
  static std::int64_t largest_divisor(std::int64_t number, std::int64_t limit) {
    std::int64_t divisor = std::min(number, limit);
    while (number % divisor != 0) --divisor;
    return divisor;
  }
};

/// From the sums of one channel to the next, which are this many. A few numbers are left together.
template <class T>
std::int64_t sums_step(std::int64_t numbers) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  return numbers < 8 * kLine ? numbers : odd_lines<T>(numbers);
}

/// How patches are read.
enum class Patches : std::uint8_t { in_place, packed, by_regions };

/// One thread's part of the sums of one group: sums[channel][row tap][column tap][filter], for some filters.
template <class T>
class Sums {
 public:
  Sums(const Conv2DSizes& s, std::int64_t group, Range filters, const T* x, const T* y, Sum<T>* sums, bool in_blocks)
      : s_(s),
        grid_(patches_of(s, group, filters)),
        first_channel_(group * s.channels_in_group()),
        regions_(regions_of(grid_)),
        x_(x),
        y_(y),
        sums_(sums),
        in_blocks_(in_blocks) {}

  /// Every patch consists of whole vectors, wherever it is cut by the border.
  bool fits_in_place() const {
    const std::int64_t lanes = kernels<T>().lanes;
    if (grid_.channels % lanes == 0) return true;
    return stretches_span_columns() && std::all_of(regions_.begin(), regions_.end(), [&](const Region& region) {
             return region.column_taps.size() * grid_.channels % lanes == 0;
           });
  }

  /// Adds region by region, reading y in place: patches must consist of whole vectors.
  void add_in_place(std::int64_t part, std::int64_t parts) {
    for (const Region& region : regions_) {
      const std::int64_t per_image = region.rows.size() * region.columns.size();
      for_each_block(part_of({0, s_.n * per_image}, part, parts), [&](Range block) {
        find_pixels(region, block);
        for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i)
          add_row_tap(i, region.column_taps, block.size());
      });
    }
  }

  /// The same with copies of what each row tap reads, so that patches may consist of anything.
  void add_by_regions(std::int64_t part, std::int64_t parts, T* scratch) {
    const std::int64_t step = packed_step(grid_.depth()), channels = grid_.channels;
    for (const Region& region : regions_) {
      const std::int64_t per_image = region.rows.size() * region.columns.size();
      const Range columns = region.column_taps;
      for_each_block(part_of({0, s_.n * per_image}, part, parts), [&](Range block) {
        for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i) {
          find_pixels(region, block);
          for (std::int64_t q = 0; q < block.size(); ++q) {
            T* const copy = scratch + q * step;
            for (std::int64_t j = columns.first; j < columns.last; ++j) {
              const T* from = ys_[q] + (grid_.row_taps[i] * s_.ow + grid_.column_taps[j]) * s_.o;
              std::copy_n(from, channels, copy + (j - columns.first) * channels);
            }
            ys_[q] = copy;
          }
          add_lanes(0, (i * s_.kw + columns.first) * channels, columns.size() * channels, block.size());
        }
      });
    }
  }

  /// Adds with copies of whole patches, so that taps fill up vectors that channels do not. Their zeros must not meet
  /// pixels that are not finite, see Note [Terms that are not there].
  void add_packed(std::int64_t part, std::int64_t parts, T* scratch) {
    const std::int64_t step = packed_step(grid_.depth());
    const Region everywhere{{0, grid_.rows}, {0, grid_.columns}, {}, {}};
    for_each_block(part_of({0, grid_.positions()}, part, parts), [&](Range block) {
      find_pixels(everywhere, block);
      pack_patches(grid_, y_, block, scratch, step);
      for (std::int64_t q = 0; q < block.size(); ++q) ys_[q] = scratch + q * step;
      add_lanes(0, 0, grid_.depth(), block.size());
    });
  }

  /// Adds what one thread does.
  void count(Patches patches, Steps& steps) const {
    const std::int64_t channels = s_.channels_in_group(), all = grid_.positions();
    ++steps.plans;
    steps.lines += static_cast<double>(channels);
    steps.ordered += static_cast<double>(channels * grid_.depth());
    steps.positions += static_cast<double>(all);
    if (patches == Patches::packed) {
      add_tiles(all, grid_.depth(), 1, steps);
      const bool adjacent = grid_.channels == grid_.pixel_size && s_.dw == 1;
      steps.copies += static_cast<double>(all) * static_cast<double>(adjacent ? s_.kh : s_.taps());
      steps.copied += static_cast<double>(all * grid_.depth());
      return;
    }
    for (const Region& region : regions_) {
      const std::int64_t positions = s_.n * region.rows.size() * region.columns.size();
      const std::int64_t together = stretches_span_columns() ? region.column_taps.size() : 1;
      if (together > 0 && positions > 0)
        add_tiles(positions, together * grid_.channels, static_cast<double>(region.taps() / together), steps);
    }
  }

  static std::int64_t packed_step(std::int64_t depth) {
    return odd_lines<T>(depth + kMaxPanel + 64 / static_cast<std::int64_t>(sizeof(T)));
  }
  static constexpr std::int64_t kMostPositions = 256;

 private:
  static PatchGrid patches_of(const Conv2DSizes& s, std::int64_t group, Range filters) {
    PatchGrid grid = patches_of_output(s, group);
    grid.first_channel += filters.first;
    grid.channels = filters.size();
    return grid;
  }
  bool stretches_span_columns() const { return s_.dw == 1 && grid_.channels == s_.o; }

  void add_tiles(std::int64_t positions, std::int64_t lanes, double times, Steps& steps) const {
    const std::int64_t blocks = ceil_div(positions, kMostPositions);
    steps.add_tiles<T>(s_.channels_in_group(), lanes, static_cast<double>(positions) / static_cast<double>(blocks),
                       times * static_cast<double>(blocks));
  }

  template <class F>
  static void for_each_block(Range positions, const F& f) {
    for (std::int64_t first = positions.first; first < positions.last; first += kMostPositions)
      f(Range{first, std::min(first + kMostPositions, positions.last)});
  }

  void find_pixels(const Region& region, Range block) {
    for_each_position(region, block, [&](std::int64_t i, std::int64_t n, std::int64_t h, std::int64_t w) {
      xs_[i] = x_ + ((n * s_.h + h) * s_.w + w) * s_.c + first_channel_;
      ys_[i] = y_ + ((n * s_.oh + h * s_.sh) * s_.ow + w * s_.sw) * s_.o + grid_.first_channel;
    });
    copy_channels(block.size());
  }

  /// Pixels a power of two apart fall onto a few sets of all caches: they are copied then.
  void copy_channels(std::int64_t positions) {
    constexpr std::int64_t kAliasingBytes = 2048;
    if (s_.c * static_cast<std::int64_t>(sizeof(T)) % kAliasingBytes != 0) return;
    const std::int64_t channels = s_.channels_in_group(), step = packed_step(channels);
    pixels_.resize(static_cast<std::size_t>(kMostPositions * step));
    for (std::int64_t q = 0; q < positions; ++q) {
      T* const to = pixels_.data() + q * step;
      std::copy_n(xs_[q], channels, to);
      xs_[q] = to;
    }
  }

  void add_row_tap(std::int64_t i, Range column_taps, std::int64_t positions) {
    const std::int64_t together = stretches_span_columns() ? column_taps.size() : 1;
    for (std::int64_t j = column_taps.first; j < column_taps.last; j += together) {
      add_lanes((grid_.row_taps[i] * s_.ow + grid_.column_taps[j]) * s_.o, (i * s_.kw + j) * grid_.channels,
                together * grid_.channels, positions);
    }
  }

  // Note [Blocks of sums]
  // Where many tiles read the same lanes of y, some panels of these are copied together first, and channels of x come
  // in chunks: the copies and a chunk stay in the second-level cache while all of their sums are visited.

  /// sums[channel][lane + i] += sum over positions of x[channel] * y[offset + i], for i in [0, count).
  void add_lanes(std::int64_t offset, std::int64_t lane, std::int64_t count, std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kTilesWorthACopy = 8;
    constexpr std::int64_t kChannels = (256 << 10) / kMostPositions / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t channels = s_.channels_in_group(), chunks = ceil_div(channels, kChannels);
    const bool copied = channels >= kTilesWorthACopy * kernel.rows();
    const std::int64_t group = copied ? kPanelsCopied * kernel.panel() : count;
    for (std::int64_t first = 0; first < count; first += group) {
      const Range lanes{first, std::min(first + group, count)};
      if (copied) copy_panels(offset, lanes, positions);
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const Range own = part_of({0, channels}, chunk, chunks);
        for (std::int64_t i = lanes.first; i < lanes.last; i += kernel.panel()) {
          const std::int64_t panel = (i - lanes.first) / kernel.panel();
          const std::int64_t width = std::min<std::int64_t>(kernel.panel(), lanes.last - i);
          add_panel(own, lane + i, width, copied ? panel_rows_.data() + panel * kMostPositions : ys_.data(),
                    copied ? 0 : offset + i, positions);
        }
      }
    }
  }

  void copy_panels(std::int64_t offset, Range lanes, std::int64_t positions) {
    panels_.resize(kPanelsCopied * kMostPositions * kMaxPanel);
    panel_rows_.resize(kPanelsCopied * kMostPositions);
    const std::int64_t width = kernels<T>().panel();
    for (std::int64_t q = 0; q < positions; ++q) {
      for (std::int64_t i = lanes.first; i < lanes.last; i += width) {
        const std::int64_t place = (i - lanes.first) / width * kMostPositions + q;
        T* const row = panels_.data() + place * kMaxPanel;
        std::copy_n(ys_[q] + offset + i, std::min(width, lanes.last - i), row);
        panel_rows_[place] = row;
      }
    }
  }

  void add_panel(Range channels, std::int64_t lane, std::int64_t lanes, const T* const* ys, std::int64_t offset,
                 std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t step = sums_step<Sum<T>>(grid_.depth());
    std::array<Sum<T>*, kMaxRows> rows{};
    for_each_tile<T>(channels.size(), [&](std::int64_t row_of_tile, int height) {
      const std::int64_t channel = channels.first + row_of_tile;
      for (int row = 0; row < kernel.heights[height]; ++row) rows[row] = sums_ + (channel + row) * step + lane;
      kernel.outer[lanes > kernel.lanes ? 1 : 0][height]({.a = xs_.data(),
                                                          .b = ys,
                                                          .a_offset = channel,
                                                          .b_offset = offset,
                                                          .depth = positions,
                                                          .target = {rows.data(), lanes, true, nullptr, in_blocks_}});
    });
  }

  static constexpr std::int64_t kPanelsCopied = 8;

  const Conv2DSizes& s_;
  PatchGrid grid_;
  std::int64_t first_channel_;  // of x, in this group
  std::vector<Region> regions_;
  const T *x_, *y_;
  Sum<T>* sums_;
  bool in_blocks_;  // see Note [Blocks of products]
  std::array<const T*, kMostPositions> xs_, ys_;
  std::vector<T> pixels_, panels_;
  std::vector<const T*> panel_rows_;
};

/// Adds the partial sums [C/G, taps, filters] of one group and writes them as [C/G, O/G, taps], for some channels.
template <class T>
void add_and_transpose(const Conv2DSizes& s, Range channels, Range filters, const std::vector<const T*>& parts,
                       T* weights) {
  const std::int64_t taps = s.taps(), numbers = taps * filters.size(), step = sums_step<T>(numbers);
  std::vector<T> added(static_cast<std::size_t>(parts.size() > 1 ? numbers : 0));
  std::vector<const T*> rows(static_cast<std::size_t>(taps));
  for (std::int64_t c = channels.first; c < channels.last; ++c) {
    const T* from = parts[0] + c * step;
    if (parts.size() > 1) {
      std::copy_n(from, numbers, added.data());
      for (std::size_t part = 1; part < parts.size(); ++part) {
        const T* more = parts[part] + c * step;
        for (std::int64_t i = 0; i < numbers; ++i) added[static_cast<std::size_t>(i)] += more[i];
      }
      from = added.data();
    }
    for (std::int64_t tap = 0; tap < taps; ++tap) rows[static_cast<std::size_t>(tap)] = from + tap * filters.size();
    kernels<T>().transpose(rows.data(), taps, filters.size(),
                           weights + (c * s.filters_in_group() + filters.first) * taps, taps);
  }
}

class WeightsGradient final : public SplitK {
 public:
  WeightsGradient(std::string_view name, MathMode math_mode) : name_(name), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::conv2d_weights && precision_.takes(problem);
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Steps steps = precision_.dispatch(problem.dtype, name(), [&]<class T>() { return steps_of<T>(s); });
    constexpr double kProductRate = 0.7;  // of the nominal one: both factors of every product are found anew
    const double rate = kProductRate * precision_.product_rate(problem.dtype, s.n);
    const double alone = steps.seconds(s, problem.dtype, rate);
    return precision_.with_conversion(alone, num_elements(s.x_shape()) + num_elements(s.y_shape()));
  }

  Tensor run_whole(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 protected:
  SumLengths sum_lengths(const Problem&) const override { return kBlocks; }

 private:
  /// Groups take the same steps.
  template <class T>
  static Steps steps_of(Conv2DSizes s) {
    s.n = elements_for<T>(s.n);
    const Range filters{0, s.filters_in_group()};
    const Sums<T> group(s, 0, filters, nullptr, nullptr, nullptr, false);
    Steps steps;
    group.count(fits_in_place<T>(s, Division(s, 1)) ? Patches::in_place : Patches::packed, steps);
    return steps * static_cast<double>(s.groups);
  }

  template <class T>
  static Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    Conv2DSizes s = conv2d_sizes(problem);
    const Division division(s, num_native_pieces(s));
    const Tensor pixels = factors_of_batch<T>(x), image = factors_of_batch<T>(g);
    s.n = elements_for<T>(s.n);
    const Patches patches = fits_in_place<T>(s, division) ? Patches::in_place : Patches::packed;
    const Tensor w = sums_of<T>(problem, s, division, patches, pixels, image);
    if (patches == Patches::in_place || is_finite(w)) return w;
    return sums_of<T>(problem, s, division, Patches::by_regions, pixels, image);
  }

  template <class T>
  static bool fits_in_place(const Conv2DSizes& s, const Division& division) {
    bool fits = true;
    for (std::int64_t part = 0; part < division.filters; ++part) {
      const Range filters = part_of({0, s.filters_in_group()}, part, division.filters);
      fits = fits && Sums<T>(s, 0, filters, nullptr, nullptr, nullptr, false).fits_in_place();
    }
    return fits;
  }

  template <class T>
  static Tensor sums_of(const Problem& problem, const Conv2DSizes& s, const Division& division, Patches patches,
                        const Tensor& pixels, const Tensor& image) {
    const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
    const std::int64_t lanes = s.taps() * ceil_div(og, division.filters);
    const Scratch<Sum<T>> sums(division.filters * division.positions, s.c * sums_step<Sum<T>>(lanes));
    const auto part_of_sums = [&](const Division::Share& own, std::int64_t position_part, std::int64_t group) {
      const std::int64_t step = sums_step<Sum<T>>(s.taps() * own.filters.size());
      return sums.of_piece(own.filter_part * division.positions + position_part) + group * cg * step;
    };
    const Scratch<T> buffers(patches == Patches::in_place ? 0 : division.pieces(),
                             Sums<T>::kMostPositions * Sums<T>::packed_step(lanes));
    for_each_piece(division.pieces(), [&](std::int64_t piece) {
      const Division::Share own = division.share(s, piece);
      for (std::int64_t group = own.groups.first; group < own.groups.last; ++group) {
        Sum<T>* const to = part_of_sums(own, own.position_part, group);
        std::fill_n(to, cg * sums_step<Sum<T>>(s.taps() * own.filters.size()), Sum<T>{0});
        Sums<T> of_group(s, group, own.filters, pixels.data<T>(), image.data<T>(), to, sums_in_blocks(problem));
        const std::int64_t part = own.position_part, parts = division.positions;
        if (patches == Patches::in_place) of_group.add_in_place(part, parts);
        else if (patches == Patches::packed) of_group.add_packed(part, parts, buffers.of_piece(piece));
        else of_group.add_by_regions(part, parts, buffers.of_piece(piece));
      }
    });

    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    Sum<T>* const weights = w.mutable_data<Sum<T>>();
    for_each_piece(division.pieces(), [&](std::int64_t piece) {
      const Division::Share own = division.share(s, piece);
      for (std::int64_t group = own.groups.first; group < own.groups.last; ++group) {
        std::vector<const Sum<T>*> parts;
        for (std::int64_t part = 0; part < division.positions; ++part) parts.push_back(part_of_sums(own, part, group));
        add_and_transpose(s, part_of({0, cg}, own.position_part, division.positions), own.filters, parts,
                          weights + group * cg * og * s.taps());
      }
    });
    return w;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& weights_gradient() {
  static const WeightsGradient& instance = *new const WeightsGradient("outer", MathMode::standard);
  return instance;
}

const Algorithm& bf16_weights_gradient() {
  static const WeightsGradient& instance = *new const WeightsGradient("bf16_outer", MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
