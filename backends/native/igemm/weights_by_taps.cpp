// The gradient of the weights where filters are few: vectors run along the channels of x, and the numbers of a patch of
// y, taps and filters, are the rows of a tile. Both are read where they lie, and no filter needs to fill a vector.
#include <array>

#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/igemm/steps.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/packing/precision.h>

namespace dygrad::native {

namespace {

std::int64_t num_rows(const Conv2DSizes& s) { return s.taps() * s.o; }
template <class T>
std::int64_t row_step(const Conv2DSizes& s) {
  return odd_lines<T>(s.c);
}

/// One thread's sums: sums[row tap][column tap][filter][channel].
template <class T>
class SumsByTaps {
 public:
  SumsByTaps(const Conv2DSizes& s, const T* x, const T* y, Sum<T>* sums, bool in_blocks)
      : s_(s), grid_(patches_of_output(s, 0)), x_(x), y_(y), sums_(sums), in_blocks_(in_blocks) {
    if (!x) return;  // only counts
    // Vectors may reach beyond the last pixels: these are read from a copy.
    const std::int64_t lanes = kernels<T>().lanes, size = s.n * s.h * s.w * s.c;
    padded_ = ceil_div(s.c, lanes) * lanes;
    x_end_ = x + size;
    x_last_ = x_end_ - std::min(size, padded_);
    last_.assign(2 * padded_, T{0});
    std::copy(x_last_, x_end_, last_.begin());
  }

  /// Adds what one thread alone does.
  void count(Steps& steps) const {
    ++steps.plans;
    for (const Region& region : regions_of(grid_)) {
      const std::int64_t positions = s_.n * region.rows.size() * region.columns.size();
      if (positions * region.taps() == 0) continue;
      const auto blocks = static_cast<double>(ceil_div(positions, kMostPositions));
      steps.add_tiles<T>(region.column_taps.size() * s_.o, s_.c, static_cast<double>(positions) / blocks,
                         blocks * static_cast<double>(region.row_taps.size()));
      steps.positions += static_cast<double>(positions);
    }
  }

  void add(std::int64_t part, std::int64_t parts) {
    for (const Region& region : regions_of(grid_)) {
      if (region.column_taps.size() == 0) continue;
      const Range own = part_of({0, s_.n * region.rows.size() * region.columns.size()}, part, parts);
      for (std::int64_t first = own.first; first < own.last; first += kMostPositions) {
        const Range block{first, std::min(first + kMostPositions, own.last)};
        find_pixels(region, block);
        for (std::int64_t channel = 0; channel < s_.c; channel += kernels<T>().panel()) {
          for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i) {
            add_row_tap(i, region.column_taps, channel, block.size());
          }
        }
      }
    }
  }

 private:
  /// One panel of a block of pixels, and the patches, stay in the first-level cache.
  static constexpr std::int64_t kMostPositions = 128;

  void find_pixels(const Region& region, Range block) {
    for_each_position(region, block, [&](std::int64_t i, std::int64_t n, std::int64_t h, std::int64_t w) {
      const T* const pixel = x_ + ((n * s_.h + h) * s_.w + w) * s_.c;
      xs_[i] = pixel + padded_ <= x_end_ ? pixel : last_.data() + (pixel - x_last_);
      ys_[i] = y_ + ((n * s_.oh + h * s_.sh) * s_.ow + w * s_.sw) * s_.o;
    });
  }

  /// sums[row of tap (i, j)][channel + lane] += sum over pixels of y[tap (i, j)] * x[channel + lane], for a panel of
  /// lanes.
  void add_row_tap(std::int64_t i, Range column_taps, std::int64_t channel, std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t offset = (grid_.row_taps[i] * s_.ow + grid_.column_taps[column_taps.first]) * s_.o;
    const std::int64_t lanes = std::min<std::int64_t>(kernel.panel(), s_.c - channel);
    const int num_vectors = lanes > kernel.lanes ? 2 : 1;
    Sum<T>* const to = sums_ + (i * s_.kw + column_taps.first) * s_.o * row_step<Sum<T>>(s_) + channel;
    std::array<Sum<T>*, kMaxRows> rows{};
    for_each_tile<T>(column_taps.size() * s_.o, [&](std::int64_t first, int height) {
      for (int row = 0; row < kernel.heights[height]; ++row) rows[row] = to + (first + row) * row_step<Sum<T>>(s_);
      kernel.outer[num_vectors - 1][height](
          {.a = ys_.data(),
           .b = xs_.data(),
           .a_offset = offset + first,
           .b_offset = channel,
           .depth = positions,
           .target = {rows.data(), num_vectors * kernel.lanes, true, nullptr, in_blocks_}});
    });
  }

  const Conv2DSizes& s_;
  PatchGrid grid_;
  const T *x_, *y_;
  Sum<T>* sums_;
  bool in_blocks_;       ///< see Note [Blocks of products]
  std::int64_t padded_;  ///< numbers of a pixel, in whole vectors
  const T *x_end_, *x_last_;
  std::vector<T> last_;
  std::array<const T*, kMostPositions> xs_, ys_;
};

/// Adds the sums of all parts to those of the first, and writes them as [channel][filter][tap].
template <class T>
void add_and_transpose(const Conv2DSizes& s, const Scratch<T>& sums, std::int64_t parts, T* weights) {
  std::vector<const T*> lines;
  for (std::int64_t o = 0; o < s.o; ++o) {
    for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
      T* const line = sums.of_piece(0) + (tap * s.o + o) * row_step<T>(s);
      for (std::int64_t part = 1; part < parts; ++part) {
        const T* more = sums.of_piece(part) + (tap * s.o + o) * row_step<T>(s);
        for (std::int64_t c = 0; c < s.c; ++c) line[c] += more[c];
      }
      lines.push_back(line);
    }
  }
  kernels<T>().transpose(lines.data(), num_rows(s), s.c, weights, num_rows(s));
}

class WeightsByTaps final : public SplitK {
 public:
  WeightsByTaps(std::string_view name, MathMode math_mode) : name_(name), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::conv2d_weights && precision_.takes(problem) && problem.conv->groups == 1 &&
           problem.conv->dilation[1] == 1;
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Steps steps = precision_.dispatch(problem.dtype, name(), [&]<class T>() { return steps_of<T>(s); });
    // Images beyond the caches are waited for about half of the time.
    constexpr double kCached = 8e6, kWaiting = 0.5, kProductRate = 0.75;
    const double waiting = kWaiting * std::max(0.0, cost::bytes(s, problem.dtype) - kCached) / cost::kBandwidth;
    const double rate = kProductRate * precision_.product_rate(problem.dtype, s.n);
    const double alone = steps.seconds(s, problem.dtype, rate, waiting);
    return precision_.with_conversion(alone, num_elements(s.x_shape()) + num_elements(s.y_shape()));
  }

  Tensor run_whole(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 protected:
  SumLengths sum_lengths(const Problem&) const override { return kBlocks; }

 private:
  template <class T>
  static Steps steps_of(Conv2DSizes s) {
    s.n = elements_for<T>(s.n);
    Steps steps;
    SumsByTaps<T>(s, nullptr, nullptr, nullptr, false).count(steps);
    steps.ordered += static_cast<double>(num_elements(s.w_shape()));
    return steps;
  }

  template <class T>
  static Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t pieces = num_native_pieces(s), size = num_rows(s) * row_step<Sum<T>>(s);
    const Tensor pixels = factors_of_batch<T>(x), image = factors_of_batch<T>(g);
    s.n = elements_for<T>(s.n);
    const Scratch<Sum<T>> sums(pieces, size);
    for_each_piece(pieces, [&](std::int64_t piece) {
      Sum<T>* const own = sums.of_piece(piece);
      std::fill_n(own, size, Sum<T>{0});
      SumsByTaps<T>(s, pixels.data<T>(), image.data<T>(), own, sums_in_blocks(problem)).add(piece, pieces);
    });
    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    add_and_transpose(s, sums, pieces, w.mutable_data<Sum<T>>());
    return w;
  }

  std::string_view name_;
  Precision precision_;
};

}  // namespace

const Algorithm& weights_by_taps() {
  static const WeightsByTaps& instance = *new const WeightsByTaps("taps", MathMode::standard);
  return instance;
}

const Algorithm& bf16_weights_by_taps() {
  static const WeightsByTaps& instance = *new const WeightsByTaps("bf16_taps", MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
