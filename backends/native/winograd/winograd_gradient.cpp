// W with fewer products: tiles of x and of y at points, one product of matrices per point, and back into taps.
// See Note [Winograd] in transforms.h and Note [Tiles of a transposed convolution] in winograd_tiles.h.
#include <array>
#include <atomic>
#include <optional>

#include <dygrad/backends/common/plain_sums.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/backends/native/winograd/winograd.h>
#include <dygrad/backends/native/winograd/winograd_range.h>

namespace dygrad::native {

namespace {

// Note [Who sums what]
// Threads share out lanes of y: each reads all of x at points, which they make together beforehand where it is small
// enough to be kept. They take the same filters in every phase, so that each can put in order what it summed itself.
// Where lanes are too few they share out tiles, and each has sums of its own that are added at the end in a fixed
// order.
constexpr std::int64_t kSumBytes = 1 << 20;       ///< of the panels at once: both these and a block stay in the caches
constexpr std::int64_t kSumBytesAgain = 4 << 20;  ///< where x is brought to points anew for each of these groups
constexpr std::int64_t kBlockBytes = 2 << 20;
constexpr std::int64_t kKeptBytes = 24 << 20;  ///< x at points as a whole, if few tiles take no more: made only once
constexpr std::int64_t kPanelsAtOnce = 8;

/// sums[panel][point][channel][lane] += a(tile, channel) * b(tile, lane) over the tiles of a block, point by point.
template <class T>
class PointSums {
 public:
  PointSums(const Tiles& tiles, bool in_blocks) : tiles_(tiles), in_blocks_(in_blocks) {}

  /// For `panels` panels of lanes, whose sums begin at `sums`.
  void add(const Tiles::Matrix<T>& a, const Tiles::Matrix<T>& b, Range block, bool first_block, Range panels,
           const Panels<Sum<T>>& one, Sum<T>* sums) {
    const Kernels<T>& kernel = kernels<T>();
    std::array<Sum<T>*, kMaxRows> rows{};
    for (int point = 0; point < tiles_.points(); ++point) {
      as_.clear(), bs_.clear();
      tiles_.find_rows(block, point, rows_);
      if constexpr (kFactors<T> == 1) {
        for (const std::int64_t row : rows_) as_.push_back(a.row(point, row)), bs_.push_back(b.row(point, row));
      } else {
        const std::int64_t pairs = elements_for<T>(static_cast<std::int64_t>(rows_.size()));
        for (std::int64_t i = 0; i < pairs; ++i) as_.push_back(a.row(point, i)), bs_.push_back(b.row(point, i));
      }
      const auto tiles = static_cast<std::int64_t>(as_.size());
      for (std::int64_t p = panels.first; p < panels.last; ++p) {
        const std::int64_t width = one.width_of(p), lane = (p - panels.first) * kernel.panel();
        Sum<T>* const panel = sums + (lane * tiles_.points() + point * width) * one.depth;
        // Once at least, for the zeros that sums start from.
        for (std::int64_t first = 0; first == 0 || first < tiles; first += kTilesAtOnce) {
          for_each_tile<T>(one.depth, [&](std::int64_t channel, int height) {
            for (int row = 0; row < kernel.heights[height]; ++row)
              rows[static_cast<std::size_t>(row)] = panel + (channel + row) * width;
            kernel.outer[one.vectors_of(p) - 1][height](
                {.a = as_.data() + first,
                 .b = bs_.data() + first,
                 .a_offset = channel,
                 .b_offset = lane,
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
  bool in_blocks_;                  ///< see Note [Blocks of products]
  std::vector<std::int64_t> rows_;  ///< of the block, at one point
  std::vector<const T*> as_, bs_;
};

/// Tiles as elements: at these points, in pairs of those that are not 0 there.
template <class T>
Tiles::Matrix<T> as_elements(const Tiles& tiles, Range block, Range points, const Tiles::Matrix<Sum<T>>& from,
                             std::int64_t count, const Tiles::Matrix<T>& to) {
  if constexpr (kFactors<T> == 1) {
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

/// One call: how its work is cut, and the memory for it.
template <class T>
class Gradient {
  using N = Sum<T>;

 public:
  Gradient(const Problem& problem, TileSize pixels, const Tensor& x, const Tensor& g)
      : s_(conv2d_sizes(problem)),
        tiles_(s_, pixels),
        x_(channels_last(x)),
        g_(channels_last(g)),
        in_blocks_(sums_in_blocks(problem)) {
    const Conv2DSizes& s = s_;
    const std::int64_t pieces = num_native_pieces(s);
    panel_parts_ = std::min(pieces, panels_.count());
    tile_parts_ = std::min(pieces / panel_parts_, tiles_.count());
    const std::int64_t own_tiles = ceil_div(tiles_.count(), tile_parts_), bytes = points_ * depth_ * kSize;
    keeps_x_ = s.groups == 1 && own_tiles <= 2 * kTilesAtOnce && bytes * tiles_.count() <= kKeptBytes;
    const std::int64_t affordable = (keeps_x_ ? kSumBytes : kSumBytesAgain) / (bytes * panel_);
    at_once_ =
        std::clamp<std::int64_t>(affordable, 1, std::min(kPanelsAtOnce, ceil_div(panels_.count(), panel_parts_)));
    lane_step_ = odd_lines<N>(at_once_ * panel_);
    height_ = keeps_x_ ? own_tiles : block_height<N>(points_ * (depth_step_ + lane_step_), own_tiles, kBlockBytes);
    for (std::int64_t group = 0; group < s.groups; ++group) limits_.push_back(most_squares(group));
    if (keeps_x_) kept_squares_.resize(static_cast<std::size_t>(tiles_.count()));
  }

  /// Undefined where the range of a tile is too wide, see Note [Dynamic range of tiles].
  Tensor weights() {
    const std::int64_t pieces = tile_parts_ * panel_parts_, own_depth = keeps_x_ ? 0 : depth_step_;
    const std::int64_t tiles_size = points_ * height_ * (own_depth + lane_step_);
    taps_step_ = whole_lines<N>(s_.groups * taps_size_);
    buffer_step_ = whole_lines<N>(tiles_size + points_ * depth_ * at_once_ * panel_);
    const std::int64_t x_size = keeps_x_ ? points_ * tiles_.count() * depth_step_ : 0;
    memory_.emplace(1, tile_parts_ * taps_step_ + pieces * buffer_step_ + x_size);
    if (kRounds) element_buffers_.emplace(pieces, points_ * elements_for<T>(height_) * (own_depth + lane_step_));
    if (keeps_x_) bring_x_to_points(pieces);
    for_each_piece(pieces, [&](std::int64_t piece) { sum(piece); });
    if (has_outlier_) return {};

    Tensor w = Tensor::empty(s_.w_shape(), dtype_of<N>());
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      std::vector<StackedPanels<N>> parts;
      for (std::int64_t part = 0; part < tile_parts_; ++part) parts.push_back(taps_of(part, group));
      taps_to_weights(s_, tiles_, group, parts, w.mutable_data<N>());
    }
    return w;
  }

 private:
  static constexpr std::int64_t kSize = sizeof(N);
  static constexpr bool kRounds = kFactors<T> > 1;

  StackedPanels<N> taps_of(std::int64_t part, std::int64_t group) const {
    return {tiles_.taps(), depth_, lanes_, taps_of_all() + part * taps_step_ + group * taps_size_};
  }
  /// The panels of a thread, as many at once as sums are kept for.
  std::vector<Range> panel_groups(std::int64_t part) const {
    const std::int64_t filters = s_.filters_in_group(), in_phase = filters / panel_;
    const bool by_filters = filters % panel_ == 0 && in_phase >= panel_parts_ * at_once_;
    const std::int64_t together = by_filters ? in_phase : panels_.count();
    std::vector<Range> groups;
    for (std::int64_t first = 0; first < panels_.count(); first += together) {
      const Range own = part_of({first, first + together}, part, panel_parts_);
      for (std::int64_t p = own.first; p < own.last; p += at_once_)
        groups.push_back({p, std::min(p + at_once_, own.last)});
    }
    return groups;
  }
  Range tiles_of_part(std::int64_t part) const { return part_of({0, tiles_.count()}, part, tile_parts_); }
  /// The tiles of one part, as sums read them.
  Tiles::Matrix<T> kept_x(std::int64_t part) const {
    if constexpr (kRounds) return {x_elements_->of_piece(part), elements_for<T>(height_), depth_step_};
    else return x_numbers().from(tiles_of_part(part).first);
  }
  Tiles::Matrix<N> x_numbers() const {
    return {buffer(tile_parts_ * panel_parts_), tiles_.count(), depth_step_};  // behind all of them
  }
  // All scratch memory is one block: blocks of few sizes are what layers share.
  N* taps_of_all() const { return memory_->of_piece(0); }
  N* buffer(std::int64_t piece) const { return taps_of_all() + tile_parts_ * taps_step_ + piece * buffer_step_; }

  /// Largest product of the sums of squares of a tile of x and its tile of y.
  double most_squares(std::int64_t group) const {
    const std::int64_t cg = depth_, og = s_.filters_in_group();
    const PixelRange<N> x{x_.data<N>() + group * cg, s_.n * s_.h * s_.w, s_.c, cg};
    const PixelRange<N> y{g_.data<N>() + group * og, s_.n * s_.oh * s_.ow, s_.o, og};
    return gradient_limit<N>(x.typical_square(), y.typical_square(), tiles_.count());
  }

  void bring_x_to_points(std::int64_t pieces) {
    for_each_piece(pieces, [&](std::int64_t piece) {
      const Range some = part_of({0, tiles_.count()}, piece, pieces);
      tiles_.gather_x(0, x_.data<N>(), some, x_numbers().from(some.first), kept_squares_.data() + some.first);
    });
    if constexpr (kRounds) {
      x_elements_.emplace(tile_parts_, points_ * elements_for<T>(height_) * depth_step_);
      for_each_piece(pieces, [&](std::int64_t piece) {
        const Range points = part_of({0, points_}, piece, pieces);
        for (std::int64_t part = 0; part < tile_parts_; ++part) {
          const Range own = tiles_of_part(part);
          as_elements<T>(tiles_, own, points, x_numbers().from(own.first), depth_, kept_x(part));
        }
      });
    }
  }

  /// A part of the tiles times a part of the lanes.
  void sum(std::int64_t piece) {
    const std::int64_t part = piece / panel_parts_, half = elements_for<T>(height_);
    const Range own = tiles_of_part(part);
    const Tiles::Matrix<N> b{buffer(piece), height_, lane_step_};
    N* const sums = b.row(points_, 0);
    const Tiles::Matrix<N> a{sums + points_ * depth_ * at_once_ * panel_, height_, depth_step_};
    Tiles::Matrix<T> a_elements{}, b_elements{};
    if (kRounds) {
      b_elements = {element_buffers_->of_piece(piece), half, lane_step_};
      a_elements = {b_elements.row(points_, 0), half, depth_step_};
    }
    const Range points{0, points_};
    std::vector<N> x_squares(static_cast<std::size_t>(keeps_x_ ? 0 : height_));
    std::vector<N> y_squares(static_cast<std::size_t>(height_));
    PointSums<T> point_sums(tiles_, in_blocks_);
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      for (const Range some : panel_groups(piece % panel_parts_)) {
        const Range range{some.first * panel_, std::min(some.last * panel_, lanes_)};
        for (std::int64_t first = own.first; first < own.last; first += height_) {
          const Range block{first, std::min(first + height_, own.last)};
          if (!keeps_x_) tiles_.gather_x(group, x_.data<N>(), block, a, x_squares.data());
          tiles_.gather_y(group, g_.data<N>(), block, range, b, y_squares.data());
          check_range(group, block, keeps_x_ ? kept_squares_.data() + block.first : x_squares.data(), y_squares.data());
          if (has_outlier_) return;
          const Tiles::Matrix<T> as =
              keeps_x_ ? kept_x(part) : as_elements<T>(tiles_, block, points, a, depth_, a_elements);
          const Tiles::Matrix<T> bs = as_elements<T>(tiles_, block, points, b, range.size(), b_elements);
          point_sums.add(as, bs, block, first == own.first, some, panels_, sums);
        }
        for (std::int64_t q = some.first; q < some.last; ++q)
          panel_to_taps(tiles_, sums + (q - some.first) * panel_ * points_ * depth_, q, taps_of(part, group));
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
  const std::int64_t points_ = tiles_.points(), depth_ = tiles_.channels(), lanes_ = tiles_.lanes();
  const Panels<N> panels_{depth_, lanes_, nullptr};
  const std::int64_t panel_ = kernels<N>().panel(), depth_step_ = odd_lines<N>(depth_);
  const std::int64_t taps_size_ = StackedPanels<N>::size(tiles_.taps(), depth_, lanes_);
  std::int64_t panel_parts_, tile_parts_;
  bool keeps_x_;
  std::int64_t at_once_, lane_step_, height_;  ///< panels and tiles in a block
  std::int64_t taps_step_ = 0, buffer_step_ = 0;
  std::optional<Scratch<N>> memory_;
  std::optional<Scratch<T>> element_buffers_, x_elements_;
  std::vector<double> limits_;   ///< of each group
  std::vector<N> kept_squares_;  ///< of the tiles of x, where these are kept
  std::atomic<bool> has_outlier_{false};
};

class WinogradGradient final : public SplitK {
 public:
  WinogradGradient(std::string_view name, TileSize pixels, MathMode math_mode)
      : name_(name), pixels_(pixels), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::conv2d_weights && winograd_takes(problem, precision_);
  }
  double estimate(const Problem& problem) const override { return winograd_estimate(problem, precision_, pixels_); }

  Tensor run_whole(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    const Tensor w = precision_.dispatch(problem.dtype, name(),
                                         [&]<class T>() { return Gradient<T>(problem, pixels_, x, g).weights(); });
    return w.defined() ? w : compute_plainly(problem, x, g, {});
  }

 protected:
  SumLengths sum_lengths(const Problem&) const override { return kBlocks; }

 private:
  std::string_view name_;
  TileSize pixels_;
  Precision precision_;
};

}  // namespace

const Algorithm& winograd_gradient() {
  static const WinogradGradient& instance = *new const WinogradGradient("winograd", TileSize::two, MathMode::standard);
  return instance;
}
const Algorithm& wide_winograd_gradient() {
  static const WinogradGradient& instance =
      *new const WinogradGradient("wide_winograd", TileSize::four, MathMode::standard);
  return instance;
}
const Algorithm& bf16_winograd_gradient() {
  static const WinogradGradient& instance =
      *new const WinogradGradient("bf16_winograd", TileSize::two, MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
