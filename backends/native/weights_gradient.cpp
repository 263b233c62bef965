// The gradient of the weights: for every channel of x and every number of y's patches, the sum of their products over
// all positions. A product of two tall matrices, one of which is x itself and the other lies scattered in y.
#include <algorithm>
#include <array>
#include <vector>

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
        sums_(sums) {
    for (std::int64_t q = 0; q < kMostPositions; ++q) panel_rows_[q] = panel_.data() + q * kMaxPanel;
  }

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
      for_each_block(part_of({0, s_.n * per_image}, part, parts), [&](Range block, Range channels) {
        find_pixels(region, block);
        for (std::int64_t i = taps.first; i < taps.last; ++i) {
          add_row_tap(i, region.column_taps, block.size(), channels);
        }
      });
    }
  }

  /// Adds with copies of whole patches, so that taps fill up vectors that channels do not.
  void add_packed(Range kernel_rows, std::int64_t part, std::int64_t parts, T* scratch) {
    PatchGrid grid = grid_;
    grid.row_taps.assign(grid_.row_taps.begin() + kernel_rows.first, grid_.row_taps.begin() + kernel_rows.last);
    const std::int64_t step = packed_step(grid.depth());
    const Region everywhere{{0, grid.rows}, {0, grid.columns}, {}, {}};
    for_each_block(part_of({0, grid.positions()}, part, parts), [&](Range block, Range channels) {
      find_pixels(everywhere, block);
      pack_patches(grid, y_, block, scratch, step);
      for (std::int64_t q = 0; q < block.size(); ++q) ys_[q] = scratch + q * step;
      add_lanes(0, kernel_rows.first * s_.kw * grid.channels, grid.depth(), block.size(), channels);
    });
  }

  static std::int64_t packed_step(std::int64_t depth) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    return (((depth + kMaxPanel) / kLine + 1) | 1) * kLine;  // odd, in lines: keeps rows off each other's cache sets
  }
  static constexpr std::int64_t kMostPositions = 256;

 private:
  bool stretches_span_columns() const { return s_.dw == 1 && s_.groups == 1; }

  /// Blocks of positions, and of channels of x there that stay in the cache.
  template <class F>
  void for_each_block(Range positions, const F& f) const {
    constexpr std::int64_t kChannels = (256 << 10) / kMostPositions / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t cg = s_.channels_in_group(), chunks = ceil_div(cg, kChannels);
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      for (std::int64_t first = positions.first; first < positions.last; first += kMostPositions) {
        f(Range{first, std::min(first + kMostPositions, positions.last)}, part_of({0, cg}, chunk, chunks));
      }
    }
  }

  void find_pixels(const Region& region, Range block) {
    const std::int64_t columns = region.columns.size(), per_image = region.rows.size() * columns;
    std::int64_t n = block.first / per_image, h = region.rows.first + block.first % per_image / columns;
    std::int64_t w = region.columns.first + block.first % columns;
    for (std::int64_t i = 0; i < block.size(); ++i) {
      xs_[i] = x_ + ((n * s_.h + h) * s_.w + w) * s_.c + first_channel_;
      ys_[i] = y_ + ((n * s_.oh + h * s_.sh) * s_.ow + w * s_.sw) * s_.o + grid_.first_channel;
      if (++w == region.columns.last) {
        w = region.columns.first;
        if (++h == region.rows.last) h = region.rows.first, ++n;
      }
    }
  }

  void add_row_tap(std::int64_t i, Range column_taps, std::int64_t positions, Range channels) {
    const std::int64_t together = stretches_span_columns() ? column_taps.size() : 1;
    for (std::int64_t j = column_taps.first; j < column_taps.last; j += together) {
      add_lanes((grid_.row_taps[i] * s_.ow + grid_.column_taps[j]) * s_.o, (i * s_.kw + j) * grid_.channels,
                together * grid_.channels, positions, channels);
    }
  }

  /// sums[channel][lane + i] += sum over positions of x[channel] * y[offset + i], for i in [0, count).
  void add_lanes(std::int64_t offset, std::int64_t lane, std::int64_t count, std::int64_t positions, Range channels) {
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t width = grid_.depth();
    std::array<Sum<T>*, kMaxRows> rows{};
    // Pixels a power of two apart fall onto a few sets of the first-level cache. Where many tiles read the same lanes,
    // these are copied together first.
    constexpr std::int64_t kTilesWorthACopy = 8;
    const bool copied = channels.size() >= kTilesWorthACopy * kernel.rows();
    for (std::int64_t i = 0; i < count; i += kernel.panel()) {
      const std::int64_t lanes = std::min<std::int64_t>(kernel.panel(), count - i);
      const int vectors = lanes > kernel.lanes ? 2 : 1;
      if (copied) {
        for (std::int64_t q = 0; q < positions; ++q)
          std::copy_n(ys_[q] + offset + i, lanes, panel_.data() + q * kMaxPanel);
      }
      for_each_tile<T>(channels.size(), [&](std::int64_t row_of_tile, int height) {
        const std::int64_t channel = channels.first + row_of_tile;
        for (int row = 0; row < kernel.heights[height]; ++row) rows[row] = sums_ + (channel + row) * width + lane + i;
        kernel.outer[vectors - 1][height]({.a = xs_.data(),
                                           .b = copied ? panel_rows_.data() : ys_.data(),
                                           .a_offset = channel,
                                           .b_offset = copied ? 0 : offset + i,
                                           .depth = positions,
                                           .target = {rows.data(), lanes, true, nullptr}});
      });
    }
  }

  const Conv2DSizes& s_;
  PatchGrid grid_;
  std::int64_t first_channel_;  // of x, in this group
  std::vector<Region> regions_;
  const T *x_, *y_;
  Sum<T>* sums_;
  std::array<const T*, kMostPositions> xs_, ys_;
  std::array<const T*, kMostPositions> panel_rows_;
  alignas(64) std::array<T, kMostPositions * kMaxPanel> panel_{};
};

/// Sums of one group start from 0; threads that share a group own different kernel rows.
template <class T>
void zero_kernel_rows(const Conv2DSizes& s, Range kernel_rows, T* sums) {
  const std::int64_t row = s.kw * s.filters_in_group();
  for (std::int64_t c = 0; c < s.channels_in_group(); ++c) {
    std::fill_n(sums + (c * s.kh + kernel_rows.first) * row, kernel_rows.size() * row, T{0});
  }
}

/// Adds the other parts' sums [C, taps, O/G] to those that `weights` holds, and turns each channel into [O/G, taps]
/// there: memory for all sums a second time would be the most that a backward pass ever needs.
template <class T>
void add_and_transpose(const Conv2DSizes& s, const Scratch<T>& others, std::int64_t num_others, T* weights) {
  const std::int64_t og = s.filters_in_group(), taps = s.taps();
  constexpr std::int64_t kWorthAThread = 1 << 14;
  parallel_for(s.c, kWorthAThread / (taps * og) + 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<T> sums(static_cast<std::size_t>(taps * og));
    std::vector<const T*> rows;
    for (std::int64_t tap = 0; tap < taps; ++tap) rows.push_back(sums.data() + tap * og);
    for (std::int64_t c = first; c < last; ++c) {
      T* const to = weights + c * taps * og;
      std::copy_n(to, taps * og, sums.data());
      for (std::int64_t other = 0; other < num_others; ++other) {
        const T* more = others.of_piece(other) + c * taps * og;
        for (std::int64_t k = 0; k < taps * og; ++k) sums[static_cast<std::size_t>(k)] += more[k];
      }
      kernels<T>().transpose(rows.data(), taps, og, to, taps);
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
    const double copies = 1.5 * copied * static_cast<double>(size_of(problem.dtype)) / (4 * cost::kBandwidth);
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
    const std::int64_t cg = s.channels_in_group(), size = num_elements(s.w_shape());
    const Tensor w = Tensor::empty(s.w_shape(), problem.dtype);  // holds the first part's sums until they are turned
    const Scratch<Sum<T>> others(division.positions - 1, size);
    const bool in_place = Sums<T>(s, 0, nullptr, nullptr, nullptr).fits_in_place();
    const std::int64_t most_lanes = ceil_div(s.kh, division.kernel_rows) * s.kw * s.filters_in_group();
    const Scratch<T> buffers(in_place ? 0 : division.pieces(),
                             Sums<T>::kMostPositions * Sums<T>::packed_step(most_lanes));
    parallel_for(division.pieces(), 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t piece = first; piece < last; ++piece) {
        const std::int64_t part = piece % division.positions,
                           rows_part = piece / division.positions % division.kernel_rows;
        const Range groups = part_of({0, s.groups}, piece / division.positions / division.kernel_rows, division.groups);
        const Range kernel_rows = part_of({0, s.kh}, rows_part, division.kernel_rows);
        for (std::int64_t group = groups.first; group < groups.last; ++group) {
          Sum<T>* const sums = part == 0 ? w.mutable_data<Sum<T>>() : others.of_piece(part - 1);
          Sum<T>* const to = sums + group * cg * s.taps() * s.filters_in_group();
          zero_kernel_rows(s, kernel_rows, to);
          Sums<T> own(s, group, pixels.data<T>(), image.data<T>(), to);
          if (in_place) own.add_in_place(kernel_rows, part, division.positions);
          else own.add_packed(kernel_rows, part, division.positions, buffers.of_piece(piece));
        }
      }
    });
    add_and_transpose(s, others, division.positions - 1, w.mutable_data<Sum<T>>());
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
