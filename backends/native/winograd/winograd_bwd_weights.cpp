// Winograd bwd_weights: tiles of x and of y in the transform domain, one GEMM per point over all tiles, and back into
// taps. See Note [Winograd] in winograd_transforms.h and Note [Tiles of a transposed convolution] in winograd_tiles.h.
#include <array>
#include <atomic>
#include <optional>

#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/workspace.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/backends/native/winograd/winograd.h>
#include <dygrad/backends/native/winograd/winograd_range.h>

namespace dygrad::native {

namespace {

// Note [Work partition of Winograd bwd_weights]
// Columns of y are distributed over threads: each reads all transformed tiles of x, which they make together beforehand
// where these are small enough to be kept. They take the same filters in every sub-kernel, so that each can transform
// back what it summed itself. Where columns are too few, tiles are distributed (split-K), and partial sums are added at
// the end in a fixed order.
constexpr std::int64_t kSumBytes = 1 << 20;       ///< of the panels at once: both these and a block stay in the caches
constexpr std::int64_t kSumBytesAgain = 4 << 20;  ///< where x is transformed anew for each of these groups
constexpr std::int64_t kBlockBytes = 2 << 20;
constexpr std::int64_t kKeptBytes = 24 << 20;  ///< all of x transformed, if few tiles take no more: made only once
constexpr std::int64_t kPanelsAtOnce = 8;

/// sums[panel][point][channel][column] += a(tile, channel) * b(tile, column) over the tiles of a block, point by point.
template <class T>
class WinogradWgradAccumulator {
 public:
  WinogradWgradAccumulator(const Tiles& tiles, bool in_blocks) : tiles_(tiles), in_blocks_(in_blocks) {}

  /// For `panels` panels of columns, whose sums begin at `sums`.
  void add(const Tiles::Matrix<T>& a, const Tiles::Matrix<T>& b, Range block, bool first_block, Range panels,
           const Panels<acc_t<T>>& one, acc_t<T>* sums) {
    const Kernels<T>& kernel = kernels<T>();
    std::array<acc_t<T>*, kMaxMr> rows{};
    for (int point = 0; point < tiles_.points(); ++point) {
      as_.clear(), bs_.clear();
      tiles_.find_rows(block, point, rows_);
      if constexpr (kVnniBlock<T> == 1) {
        for (const std::int64_t row : rows_) as_.push_back(a.row(point, row)), bs_.push_back(b.row(point, row));
      } else {
        const std::int64_t pairs = num_packed<T>(static_cast<std::int64_t>(rows_.size()));
        for (std::int64_t i = 0; i < pairs; ++i) as_.push_back(a.row(point, i)), bs_.push_back(b.row(point, i));
      }
      const auto tiles = static_cast<std::int64_t>(as_.size());
      for (std::int64_t p = panels.first; p < panels.last; ++p) {
        const std::int64_t width = one.width_of(p), column = (p - panels.first) * kernel.nr();
        acc_t<T>* const panel = sums + (column * tiles_.points() + point * width) * one.depth;
        // Once at least, for the zeros that sums start from.
        for (std::int64_t first = 0; first == 0 || first < tiles; first += kTilesAtOnce) {
          for_each_tile<T>(one.depth, [&](std::int64_t channel, int variant) {
            for (int row = 0; row < kernel.mr_variants[variant]; ++row)
              rows[static_cast<std::size_t>(row)] = panel + (channel + row) * width;
            kernel.rank1[one.vectors_of(p) - 1][variant](
                {.a = as_.data() + first,
                 .b = bs_.data() + first,
                 .a_offset = channel,
                 .b_offset = column,
                 .depth = std::min(kTilesAtOnce, tiles - first),
                 .target = {rows.data(), width, !first_block || first > 0, nullptr,
                            in_blocks_ && (!first_block || first > 0)}});
          });
        }
      }
    }
  }

 private:
  const Tiles& tiles_;
  bool in_blocks_;                  ///< see Note [Blocked summation]
  std::vector<std::int64_t> rows_;  ///< of the block, at one point
  std::vector<const T*> as_, bs_;
};

/// Tiles packed along K: at these points, in pairs of those that are not 0 there.
template <class T>
Tiles::Matrix<T> pack_vnni(const Tiles& tiles, Range block, Range points, const Tiles::Matrix<acc_t<T>>& from,
                           std::int64_t count, const Tiles::Matrix<T>& to) {
  if constexpr (kVnniBlock<T> == 1) {
    return from;
  } else {
    const std::vector<float> zeros(static_cast<std::size_t>(count));
    std::vector<std::int64_t> rows;
    for (std::int64_t point = points.first; point < points.last; ++point) {
      tiles.find_rows(block, static_cast<int>(point), rows);
      for (std::size_t i = 0; i < rows.size(); i += 2) {
        const float* second = i + 1 < rows.size() ? from.row(point, rows[i + 1]) : zeros.data();
        kernels<Bf16Pair>().interleave(from.row(point, rows[i]), second, count,
                                       to.row(point, static_cast<std::int64_t>(i / 2)));
      }
    }
    return to;
  }
}

/// One call: its work partition, and the memory for it.
template <class T>
class WinogradWeightsJob {
  using N = acc_t<T>;

 public:
  WinogradWeightsJob(const Problem& problem, int m, const Tensor& x, const Tensor& g)
      : s_(conv2d_sizes(problem)),
        tiles_(s_, m),
        x_(channels_last(x)),
        g_(channels_last(g)),
        in_blocks_(sums_in_blocks(problem)) {
    const Conv2DSizes& s = s_;
    const std::int64_t chunks = num_native_chunks(s);
    panel_parts_ = std::min(chunks, panels_.count());
    tile_parts_ = std::min(chunks / panel_parts_, tiles_.count());
    const std::int64_t own_tiles = ceil_div(tiles_.count(), tile_parts_), bytes = points_ * depth_ * kSize;
    keeps_x_ = s.groups == 1 && own_tiles <= 2 * kTilesAtOnce && bytes * tiles_.count() <= kKeptBytes;
    const std::int64_t affordable = (keeps_x_ ? kSumBytes : kSumBytesAgain) / (bytes * panel_);
    at_once_ =
        std::clamp<std::int64_t>(affordable, 1, std::min(kPanelsAtOnce, ceil_div(panels_.count(), panel_parts_)));
    n_ld_ = padded_leading_dim<N>(at_once_ * panel_);
    height_ = keeps_x_ ? own_tiles : block_height<N>(points_ * (depth_ld_ + n_ld_), own_tiles, kBlockBytes);
    for (std::int64_t group = 0; group < s.groups; ++group) limits_.push_back(most_squares(group));
    if (keeps_x_) kept_squares_.resize(static_cast<std::size_t>(tiles_.count()));
  }

  /// Undefined where the range of a tile is too wide, see Note [Dynamic range of tiles].
  Tensor weights() {
    const std::int64_t chunks = tile_parts_ * panel_parts_, own_depth = keeps_x_ ? 0 : depth_ld_;
    const std::int64_t tiles_size = points_ * height_ * (own_depth + n_ld_);
    taps_stride_ = round_up_to_lines<N>(s_.groups * taps_size_);
    buffer_stride_ = round_up_to_lines<N>(tiles_size + points_ * depth_ * at_once_ * panel_);
    const std::int64_t x_size = keeps_x_ ? points_ * tiles_.count() * depth_ld_ : 0;
    memory_.emplace(1, tile_parts_ * taps_stride_ + chunks * buffer_stride_ + x_size);
    if (kRounds) packed_buffers_.emplace(chunks, points_ * num_packed<T>(height_) * (own_depth + n_ld_));
    if (keeps_x_) transform_kept_x(chunks);
    parallel_for_chunks(chunks, [&](std::int64_t chunk) { sum(chunk); });
    if (has_outlier_) return {};

    Tensor w = Tensor::empty(s_.w_shape(), dtype_of<N>());
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      std::vector<StackedPanels<N>> parts;
      for (std::int64_t part = 0; part < tile_parts_; ++part) parts.push_back(taps_of(part, group));
      unpack_filter(s_, tiles_, group, parts, w.mutable_data<N>());
    }
    return w;
  }

 private:
  static constexpr std::int64_t kSize = sizeof(N);
  static constexpr bool kRounds = kVnniBlock<T> > 1;

  StackedPanels<N> taps_of(std::int64_t part, std::int64_t group) const {
    return {tiles_.taps(), depth_, n_, taps_of_all() + part * taps_stride_ + group * taps_size_};
  }
  /// The panels of a thread, as many at once as sums are kept for.
  std::vector<Range> panel_groups(std::int64_t part) const {
    const std::int64_t filters = s_.filters_in_group(), per_subkernel = filters / panel_;
    const bool by_filters = filters % panel_ == 0 && per_subkernel >= panel_parts_ * at_once_;
    const std::int64_t together = by_filters ? per_subkernel : panels_.count();
    std::vector<Range> groups;
    for (std::int64_t first = 0; first < panels_.count(); first += together) {
      const Range own = part_of({first, first + together}, part, panel_parts_);
      for (std::int64_t p = own.first; p < own.last; p += at_once_)
        groups.push_back({p, std::min(p + at_once_, own.last)});
    }
    return groups;
  }
  Range tiles_of_part(std::int64_t part) const { return part_of({0, tiles_.count()}, part, tile_parts_); }
  /// The tiles of one part, as GEMMs read them.
  Tiles::Matrix<T> kept_x(std::int64_t part) const {
    if constexpr (kRounds) return {packed_x_->of_chunk(part), num_packed<T>(height_), depth_ld_};
    else return scalar_x().from(tiles_of_part(part).first);
  }
  Tiles::Matrix<N> scalar_x() const {
    return {buffer(tile_parts_ * panel_parts_), tiles_.count(), depth_ld_};  // behind all of them
  }
  // All workspace is one block: blocks of few sizes are what layers share.
  N* taps_of_all() const { return memory_->of_chunk(0); }
  N* buffer(std::int64_t chunk) const { return taps_of_all() + tile_parts_ * taps_stride_ + chunk * buffer_stride_; }

  /// Largest product of the sums of squares of a tile of x and its tile of y.
  double most_squares(std::int64_t group) const {
    const std::int64_t cg = depth_, og = s_.filters_in_group();
    const PixelRange<N> x{x_.data<N>() + group * cg, s_.n * s_.h * s_.w, s_.c, cg};
    const PixelRange<N> y{g_.data<N>() + group * og, s_.n * s_.oh * s_.ow, s_.o, og};
    return gradient_limit<N>(x.typical_square(), y.typical_square(), tiles_.count());
  }

  void transform_kept_x(std::int64_t chunks) {
    parallel_for_chunks(chunks, [&](std::int64_t chunk) {
      const Range some = part_of({0, tiles_.count()}, chunk, chunks);
      tiles_.transform_x(0, x_.data<N>(), some, scalar_x().from(some.first), kept_squares_.data() + some.first);
    });
    if constexpr (kRounds) {
      packed_x_.emplace(tile_parts_, points_ * num_packed<T>(height_) * depth_ld_);
      parallel_for_chunks(chunks, [&](std::int64_t chunk) {
        const Range points = part_of({0, points_}, chunk, chunks);
        for (std::int64_t part = 0; part < tile_parts_; ++part) {
          const Range own = tiles_of_part(part);
          pack_vnni<T>(tiles_, own, points, scalar_x().from(own.first), depth_, kept_x(part));
        }
      });
    }
  }

  /// A part of the tiles times a part of the columns.
  void sum(std::int64_t chunk) {
    const std::int64_t part = chunk / panel_parts_, half = num_packed<T>(height_);
    const Range own = tiles_of_part(part);
    const Tiles::Matrix<N> b{buffer(chunk), height_, n_ld_};
    N* const sums = b.row(points_, 0);
    const Tiles::Matrix<N> a{sums + points_ * depth_ * at_once_ * panel_, height_, depth_ld_};
    Tiles::Matrix<T> packed_a{}, packed_b{};
    if (kRounds) {
      packed_b = {packed_buffers_->of_chunk(chunk), half, n_ld_};
      packed_a = {packed_b.row(points_, 0), half, depth_ld_};
    }
    const Range points{0, points_};
    std::vector<N> x_squares(static_cast<std::size_t>(keeps_x_ ? 0 : height_));
    std::vector<N> y_squares(static_cast<std::size_t>(height_));
    WinogradWgradAccumulator<T> point_sums(tiles_, in_blocks_);
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      for (const Range some : panel_groups(chunk % panel_parts_)) {
        const Range range{some.first * panel_, std::min(some.last * panel_, n_)};
        for (std::int64_t first = own.first; first < own.last; first += height_) {
          const Range block{first, std::min(first + height_, own.last)};
          if (!keeps_x_) tiles_.transform_x(group, x_.data<N>(), block, a, x_squares.data());
          tiles_.transform_y(group, g_.data<N>(), block, range, b, y_squares.data());
          check_range(group, block, keeps_x_ ? kept_squares_.data() + block.first : x_squares.data(), y_squares.data());
          if (has_outlier_) return;
          const Tiles::Matrix<T> as =
              keeps_x_ ? kept_x(part) : pack_vnni<T>(tiles_, block, points, a, depth_, packed_a);
          const Tiles::Matrix<T> bs = pack_vnni<T>(tiles_, block, points, b, range.size(), packed_b);
          point_sums.add(as, bs, block, first == own.first, some, panels_, sums);
        }
        for (std::int64_t q = some.first; q < some.last; ++q)
          transform_filter_adjoint(tiles_, sums + (q - some.first) * panel_ * points_ * depth_, q,
                                   taps_of(part, group));
      }
    }
  }

  void check_range(std::int64_t group, Range block, const N* x_squares, const N* y_squares) {
    const double most = limits_[static_cast<std::size_t>(group)];
    for (std::int64_t i = 0; i < block.size(); ++i) {
      const double product =
          std::sqrt(static_cast<double>(x_squares[i])) * std::sqrt(static_cast<double>(y_squares[i]));
      if (!(product <= most)) has_outlier_.store(true, std::memory_order_relaxed);
    }
  }

  const Conv2DSizes s_;
  const Tiles tiles_;
  const Tensor x_, g_;
  const bool in_blocks_;
  const std::int64_t points_ = tiles_.points(), depth_ = tiles_.channels(), n_ = tiles_.y_columns();
  const Panels<N> panels_{depth_, n_, nullptr};
  const std::int64_t panel_ = kernels<N>().nr(), depth_ld_ = padded_leading_dim<N>(depth_);
  const std::int64_t taps_size_ = StackedPanels<N>::size(tiles_.taps(), depth_, n_);
  std::int64_t panel_parts_, tile_parts_;
  bool keeps_x_;
  std::int64_t at_once_, n_ld_, height_;  ///< panels and tiles in a block
  std::int64_t taps_stride_ = 0, buffer_stride_ = 0;
  std::optional<Workspace<N>> memory_;
  std::optional<Workspace<T>> packed_buffers_, packed_x_;
  std::vector<double> limits_;   ///< of each group
  std::vector<N> kept_squares_;  ///< of the tiles of x, where these are kept
  std::atomic<bool> has_outlier_{false};
};

class WinogradBwdWeights final : public NativeAlgorithm {
 public:
  WinogradBwdWeights(const AlgorithmKey& key, int m) : NativeAlgorithm(key), m_(m) {}
  double estimate(const Problem& problem) const override { return winograd_estimate(problem, precision(), m_); }

  Tensor run_unsplit(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    const Tensor w = dispatch(problem, [&]<class T>() { return WinogradWeightsJob<T>(problem, m_, x, g).weights(); });
    return w.defined() ? w : compute_direct(problem, x, g, {});
  }

 protected:
  bool supports_sizes(const Problem& problem) const override { return winograd_supports(problem, precision()); }
  SumLengths sum_lengths(const Problem&) const override { return kBlocked; }

 private:
  int m_;
};

}  // namespace

std::unique_ptr<Algorithm> make_winograd_f2_weights(const AlgorithmKey& key) {
  return std::make_unique<WinogradBwdWeights>(key, 2);
}
std::unique_ptr<Algorithm> make_winograd_f4_weights(const AlgorithmKey& key) {
  return std::make_unique<WinogradBwdWeights>(key, 4);
}

}  // namespace dygrad::native
