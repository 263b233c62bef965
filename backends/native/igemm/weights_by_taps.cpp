// bwd_weights for few filters: vectors run along the channels of x (N), and the taps and filters of a patch of y are
// the rows of a tile (M). Both are read in place, and filters need not fill a vector.
#include <array>

#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

std::int64_t num_rows(const Conv2DSizes& s) { return s.taps() * s.o; }
template <class T>
std::int64_t leading_dim(const Conv2DSizes& s) {
  return padded_leading_dim<T>(s.c);
}

/// Partial sums of one thread: sums[row tap][column tap][filter][channel].
template <class T>
class WgradByTapsAccumulator {
 public:
  WgradByTapsAccumulator(const Conv2DSizes& s, const T* x, const T* y, acc_t<T>* sums, bool in_blocks)
      : s_(s), geometry_(conv2d_geometry(s, 0)), x_(x), y_(y), sums_(sums), in_blocks_(in_blocks) {
    if (!x) return;  // only counts
    // Vectors may reach beyond the last pixels: these are read from a padded copy.
    const std::int64_t lanes = kernels<T>().lanes, size = s.n * s.h * s.w * s.c;
    padded_ = ceil_div(s.c, lanes) * lanes;
    x_end_ = x + size;
    x_last_ = x_end_ - std::min(size, padded_);
    last_.assign(2 * padded_, T{0});
    std::copy(x_last_, x_end_, last_.begin());
  }

  /// Adds what one thread alone does.
  void count(WorkCounts& counts) const {
    ++counts.geometries;
    for (const BorderRegion& region : border_regions(geometry_)) {
      const std::int64_t positions = s_.n * region.rows.size() * region.columns.size();
      if (positions * region.taps() == 0) continue;
      const auto blocks = static_cast<double>(ceil_div(positions, kMaxPositions));
      counts.add_tiles<T>(region.column_taps.size() * s_.o, s_.c, static_cast<double>(positions) / blocks,
                          blocks * static_cast<double>(region.row_taps.size()));
      counts.positions += static_cast<double>(positions);
    }
  }

  void add(std::int64_t part, std::int64_t parts) {
    for (const BorderRegion& region : border_regions(geometry_)) {
      if (region.column_taps.size() == 0) continue;
      const Range own = part_of({0, s_.n * region.rows.size() * region.columns.size()}, part, parts);
      for (std::int64_t first = own.first; first < own.last; first += kMaxPositions) {
        const Range block{first, std::min(first + kMaxPositions, own.last)};
        find_pixels(region, block);
        for (std::int64_t channel = 0; channel < s_.c; channel += kernels<T>().nr()) {
          for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i) {
            add_row_tap(i, region.column_taps, channel, block.size());
          }
        }
      }
    }
  }

 private:
  /// One panel of a block of pixels, and the patches, stay in L1.
  static constexpr std::int64_t kMaxPositions = 128;

  void find_pixels(const BorderRegion& region, Range block) {
    for_each_position(region, block, [&](std::int64_t i, std::int64_t n, std::int64_t h, std::int64_t w) {
      const T* const pixel = x_ + ((n * s_.h + h) * s_.w + w) * s_.c;
      xs_[i] = pixel + padded_ <= x_end_ ? pixel : last_.data() + (pixel - x_last_);
      ys_[i] = y_ + ((n * s_.oh + h * s_.sh) * s_.ow + w * s_.sw) * s_.o;
    });
  }

  /// sums[row of tap (i, j)][channel + j] += sum over pixels of y[tap (i, j)] * x[channel + j], for one panel.
  void add_row_tap(std::int64_t i, Range column_taps, std::int64_t channel, std::int64_t positions) {
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t offset = (geometry_.row_taps[i] * s_.ow + geometry_.column_taps[column_taps.first]) * s_.o;
    const std::int64_t columns = std::min<std::int64_t>(kernel.nr(), s_.c - channel);
    const int num_vectors = columns > kernel.lanes ? 2 : 1;
    acc_t<T>* const to = sums_ + (i * s_.kw + column_taps.first) * s_.o * leading_dim<acc_t<T>>(s_) + channel;
    std::array<acc_t<T>*, kMaxMr> rows{};
    for_each_tile<T>(column_taps.size() * s_.o, [&](std::int64_t first, int variant) {
      for (int row = 0; row < kernel.mr_variants[variant]; ++row)
        rows[row] = to + (first + row) * leading_dim<acc_t<T>>(s_);
      kernel.rank1[num_vectors - 1][variant](
          {.a = ys_.data(),
           .b = xs_.data(),
           .a_offset = offset + first,
           .b_offset = channel,
           .depth = positions,
           .target = {rows.data(), num_vectors * kernel.lanes, true, nullptr, in_blocks_}});
    });
  }

  const Conv2DSizes& s_;
  ConvGeometry geometry_;
  const T *x_, *y_;
  acc_t<T>* sums_;
  bool in_blocks_;       ///< see Note [Blocked summation]
  std::int64_t padded_;  ///< elements of a pixel, in whole vectors
  const T *x_end_, *x_last_;
  std::vector<T> last_;
  std::array<const T*, kMaxPositions> xs_, ys_;
};

/// Adds the sums of all parts to those of the first, and writes them as [channel][filter][tap].
template <class T>
void add_and_transpose(const Conv2DSizes& s, const Workspace<T>& sums, std::int64_t parts, T* weights) {
  std::vector<const T*> lines;
  for (std::int64_t o = 0; o < s.o; ++o) {
    for (std::int64_t tap = 0; tap < s.taps(); ++tap) {
      T* const line = sums.of_chunk(0) + (tap * s.o + o) * leading_dim<T>(s);
      for (std::int64_t part = 1; part < parts; ++part) {
        const T* more = sums.of_chunk(part) + (tap * s.o + o) * leading_dim<T>(s);
        for (std::int64_t c = 0; c < s.c; ++c) line[c] += more[c];
      }
      lines.push_back(line);
    }
  }
  kernels<T>().transpose(lines.data(), num_rows(s), s.c, weights, num_rows(s));
}

class WeightsByTaps final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;
  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const WorkCounts counts = dispatch(problem, [&]<class T>() { return work_counts<T>(s); });
    // Images beyond the caches are waited for about half of the time.
    constexpr double kCached = 8e6, kWaiting = 0.5, kPeakShare = 0.75;
    const double waiting = kWaiting * std::max(0.0, cost::bytes(s, problem.dtype) - kCached) / cost::kBandwidth;
    const double rate = kPeakShare * precision().flop_rate(problem.dtype, s.n);
    const double alone = counts.seconds(s, problem.dtype, rate, waiting);
    return precision().with_conversion(alone, num_elements(s.x_shape()) + num_elements(s.y_shape()));
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 protected:
  bool supports_sizes(const Problem& problem) const override {
    return precision().supports(problem) && problem.conv->groups == 1 && problem.conv->dilation[1] == 1;
  }
  SumLengths sum_lengths(const Problem&) const override { return kBlocked; }

 private:
  template <class T>
  static WorkCounts work_counts(Conv2DSizes s) {
    s.n = num_packed<T>(s.n);
    WorkCounts counts;
    WgradByTapsAccumulator<T>(s, nullptr, nullptr, nullptr, false).count(counts);
    counts.result_elements += static_cast<double>(num_elements(s.w_shape()));
    return counts;
  }

  template <class T>
  static Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) {
    Conv2DSizes s = conv2d_sizes(problem);
    const std::int64_t chunks = num_native_chunks(s), size = num_rows(s) * leading_dim<acc_t<T>>(s);
    const Tensor pixels = pack_batch<T>(x), image = pack_batch<T>(g);
    s.n = num_packed<T>(s.n);
    const Workspace<acc_t<T>> sums(chunks, size);
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      acc_t<T>* const own = sums.of_chunk(chunk);
      std::fill_n(own, size, acc_t<T>{0});
      WgradByTapsAccumulator<T>(s, pixels.data<T>(), image.data<T>(), own, sums_in_blocks(problem)).add(chunk, chunks);
    });
    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    add_and_transpose(s, sums, chunks, w.mutable_data<acc_t<T>>());
    return w;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_weights_by_taps(const AlgorithmKey& key) {
  return std::make_unique<WeightsByTaps>(key);
}

}  // namespace dygrad::native
