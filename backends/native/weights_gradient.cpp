// The gradient of the weights: for every channel of x and every number of y's patches, the sum of their products over
// all positions. A product of two tall matrices, one of which is x itself and the other lies scattered in y.
#include <array>

#include <dygrad/backends/native/algorithms.h>
#include <dygrad/backends/native/convolve.h>
#include <dygrad/backends/native/operands.h>
#include <dygrad/backends/native/precision.h>

namespace dygrad::native {

namespace {

// Note [Who sums what]
// Threads share out groups first: these have different sums. Then they share out positions, each with sums of its own
// that are added at the end in a fixed order; or, where the sums are so many that this would cost more than reading x
// once per thread, rows of the kernel.
struct Division {
  std::int64_t groups, kernel_rows, positions;

  Division(const Conv2DSizes& s, std::int64_t pieces) {
    constexpr std::int64_t kManySums = 1 << 17;
    groups = largest_divisor(pieces, s.groups);
    const bool many = num_elements(s.w_shape()) > kManySums;
    kernel_rows = many ? largest_divisor(pieces / groups, s.kh) : 1;
    positions = pieces / groups / kernel_rows;
  }
  std::int64_t pieces() const { return groups * kernel_rows * positions; }

 private:
  static std::int64_t largest_divisor(std::int64_t number, std::int64_t limit) {
    std::int64_t divisor = std::min(number, limit);
    while (number % divisor != 0) --divisor;
    return divisor;
  }
};

/// From the sums of one channel to the next. A few numbers are left together.
template <class T>
std::int64_t sums_step(const Conv2DSizes& s) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  const std::int64_t numbers = s.taps() * s.filters_in_group();
  return numbers < 8 * kLine ? numbers : odd_lines<T>(numbers);
}

/// One thread's part of the sums of one group: sums[channel][row tap][column tap][filter].
template <class T>
class Sums {
 public:
  Sums(const Conv2DSizes& s, std::int64_t group, const T* x, const T* y, Sum<T>* sums)
      : s_(s),
        grid_(patches_of_output(s, group)),
        first_channel_(group * s.channels_in_group()),
        regions_(regions_of(grid_)),
        x_(x),
        y_(y),
        sums_(sums) {}

  /// Every patch consists of whole vectors, wherever it is cut by the border.
  bool fits_in_place() const {
    const std::int64_t lanes = kernels<T>().lanes;
    if (grid_.channels % lanes == 0) return true;
    return stretches_span_columns() && std::all_of(regions_.begin(), regions_.end(), [&](const Region& region) {
             return region.column_taps.size() * grid_.channels % lanes == 0;
           });
  }

  /// Adds region by region, reading y in place: patches must consist of whole vectors.
  void add_in_place(Range kernel_rows, std::int64_t part, std::int64_t parts) {
    for (const Region& region : regions_) {
      const Range taps{std::max(region.row_taps.first, kernel_rows.first),
                       std::min(region.row_taps.last, kernel_rows.last)};
      const std::int64_t per_image = region.rows.size() * region.columns.size();
      for_each_block(part_of({0, s_.n * per_image}, part, parts), [&](Range block) {
        find_pixels(region, block);
        for (std::int64_t i = taps.first; i < taps.last; ++i) add_row_tap(i, region.column_taps, block.size());
      });
    }
  }

  /// Adds with copies of whole patches, so that taps fill up vectors that channels do not.
  void add_packed(Range kernel_rows, std::int64_t part, std::int64_t parts, T* scratch) {
    PatchGrid grid = grid_;
    grid.row_taps.assign(grid_.row_taps.begin() + kernel_rows.first, grid_.row_taps.begin() + kernel_rows.last);
    const std::int64_t step = packed_step(grid.depth());
    const Region everywhere{{0, grid.rows}, {0, grid.columns}, {}, {}};
    for_each_block(part_of({0, grid.positions()}, part, parts), [&](Range block) {
      find_pixels(everywhere, block);
      pack_patches(grid, y_, block, scratch, step);
      for (std::int64_t q = 0; q < block.size(); ++q) ys_[q] = scratch + q * step;
      add_lanes(0, kernel_rows.first * s_.kw * grid.channels, grid.depth(), block.size());
    });
  }

  static std::int64_t packed_step(std::int64_t depth) {
    return odd_lines<T>(depth + kMaxPanel + 64 / static_cast<std::int64_t>(sizeof(T)));
  }
  static constexpr std::int64_t kMostPositions = 256;

 private:
  bool stretches_span_columns() const { return s_.dw == 1 && s_.groups == 1; }

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
    const std::int64_t step = sums_step<Sum<T>>(s_);
    std::array<Sum<T>*, kMaxRows> rows{};
    for_each_tile<T>(channels.size(), [&](std::int64_t row_of_tile, int height) {
      const std::int64_t channel = channels.first + row_of_tile;
      for (int row = 0; row < kernel.heights[height]; ++row) rows[row] = sums_ + (channel + row) * step + lane;
      kernel.outer[lanes > kernel.lanes ? 1 : 0][height]({.a = xs_.data(),
                                                          .b = ys,
                                                          .a_offset = channel,
                                                          .b_offset = offset,
                                                          .depth = positions,
                                                          .target = {rows.data(), lanes, true, nullptr}});
    });
  }

  static constexpr std::int64_t kPanelsCopied = 8;

  const Conv2DSizes& s_;
  PatchGrid grid_;
  std::int64_t first_channel_;  // of x, in this group
  std::vector<Region> regions_;
  const T *x_, *y_;
  Sum<T>* sums_;
  std::array<const T*, kMostPositions> xs_, ys_;
  std::vector<T> pixels_, panels_;
  std::vector<const T*> panel_rows_;
};

/// Sums of one group start from 0; threads that share a group own different kernel rows.
template <class T>
void zero_kernel_rows(const Conv2DSizes& s, Range kernel_rows, T* sums) {
  const std::int64_t row = s.kw * s.filters_in_group();
  for (std::int64_t c = 0; c < s.channels_in_group(); ++c) {
    std::fill_n(sums + c * sums_step<T>(s) + kernel_rows.first * row, kernel_rows.size() * row, T{0});
  }
}

/// Adds the partial sums [C, taps, O/G] of all parts and writes them as [C, O/G, taps].
template <class T>
void add_and_transpose(const Conv2DSizes& s, const Scratch<T>& sums, std::int64_t parts, T* weights) {
  const std::int64_t og = s.filters_in_group(), taps = s.taps();
  constexpr std::int64_t kWorthAThread = 1 << 14;
  parallel_for(s.c, kWorthAThread / (taps * og) + 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<T> added(static_cast<std::size_t>(parts > 1 ? taps * og : 0));
    std::vector<const T*> rows(static_cast<std::size_t>(taps));
    for (std::int64_t c = first; c < last; ++c) {
      const T* from = sums.of_piece(0) + c * sums_step<T>(s);
      if (parts > 1) {
        std::copy_n(from, taps * og, added.data());
        for (std::int64_t part = 1; part < parts; ++part) {
          const T* more = sums.of_piece(part) + c * sums_step<T>(s);
          for (std::int64_t i = 0; i < taps * og; ++i) added[static_cast<std::size_t>(i)] += more[i];
        }
        from = added.data();
      }
      for (std::int64_t tap = 0; tap < taps; ++tap) rows[static_cast<std::size_t>(tap)] = from + tap * og;
      kernels<T>().transpose(rows.data(), taps, og, weights + c * og * taps, taps);
    }
  });
}

class WeightsGradient final : public Algorithm {
 public:
  WeightsGradient(std::string_view name, Compute compute) : name_(name), precision_(compute) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::deconv2d_weights && precision_.takes(problem);
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t lanes = precision_.lanes(problem.dtype);
    const double products = share_inside(s) * cost::flop(s) / cost::lane_use(s.filters_in_group() * s.taps(), lanes);
    const double copied = static_cast<double>(s.n * s.h * s.w) * static_cast<double>(s.o * s.taps());
    // Filters of one group lie together, those of neighbouring taps do not: each tap is copied by itself.
    constexpr double kCopy = 1.5e-9;
    const bool is_scattered = s.groups > 1 && s.filters_in_group() % lanes != 0;
    const double pieces = is_scattered ? copied / static_cast<double>(s.filters_in_group()) : 0;
    const double copies =
        1.5 * copied * static_cast<double>(size_of(problem.dtype)) / (4 * cost::kBandwidth) + kCopy * pieces;
    const double rate = precision_.product_rate(problem.dtype, s.n);
    constexpr double kPosition = 12e-9;  // seconds to find one and its patch
    const double positions = kPosition * static_cast<double>(s.n * s.h * s.w);
    const double alone =
        cost::seconds(products / (0.92 * rate) + copies + positions, cost::bytes(s, problem.dtype) / cost::kBandwidth);
    return precision_.with_conversion(alone, num_elements(s.x_shape()) + num_elements(s.y_shape()));
  }

  Tensor run(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 private:
  template <class T>
  static Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    Conv2DSizes s = conv2d_sizes(problem);
    const Division division(s, num_native_pieces(s));
    const Tensor pixels = factors_of_batch<T>(x), image = factors_of_batch<T>(g);
    s.n = elements_for<T>(s.n);
    const std::int64_t cg = s.channels_in_group(), size = s.c * sums_step<Sum<T>>(s);
    const Scratch<Sum<T>> sums(division.positions, size);
    const bool in_place = Sums<T>(s, 0, nullptr, nullptr, nullptr).fits_in_place();
    const std::int64_t most_lanes = ceil_div(s.kh, division.kernel_rows) * s.kw * s.filters_in_group();
    const Scratch<T> buffers(in_place ? 0 : division.pieces(),
                             Sums<T>::kMostPositions * Sums<T>::packed_step(most_lanes));
    for_each_piece(division.pieces(), [&](std::int64_t piece) {
      const std::int64_t part = piece % division.positions,
                         rows_part = piece / division.positions % division.kernel_rows;
      const Range groups = part_of({0, s.groups}, piece / division.positions / division.kernel_rows, division.groups);
      const Range kernel_rows = part_of({0, s.kh}, rows_part, division.kernel_rows);
      for (std::int64_t group = groups.first; group < groups.last; ++group) {
        Sum<T>* const to = sums.of_piece(part) + group * cg * sums_step<Sum<T>>(s);
        zero_kernel_rows(s, kernel_rows, to);
        Sums<T> own(s, group, pixels.data<T>(), image.data<T>(), to);
        if (in_place) own.add_in_place(kernel_rows, part, division.positions);
        else own.add_packed(kernel_rows, part, division.positions, buffers.of_piece(piece));
      }
    });
    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    add_and_transpose(s, sums, division.positions, w.mutable_data<Sum<T>>());
    return w;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& weights_gradient() {
  static const WeightsGradient instance("outer", Compute::exact);
  return instance;
}

const Algorithm& bf16_weights_gradient() {
  static const WeightsGradient instance("bf16_outer", Compute::bfloat16);
  return instance;
}

}  // namespace dygrad::native
