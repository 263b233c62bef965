// W with fewer products: tiles of x and of y at points, one product of matrices per point, and back into taps.
// See Note [Winograd] in transforms.h and Note [Tiles of a transposed convolution] in winograd_tiles.h.
#include <array>

#include <dygrad/backends/native/algorithms.h>
#include <dygrad/backends/native/convolve.h>
#include <dygrad/backends/native/operands.h>
#include <dygrad/backends/native/winograd.h>

namespace dygrad::native {

namespace {

// Note [Who sums what]
// Threads share out lanes of y: each reads all of x. Where lanes are too few they share out tiles, and each has sums of
// its own that are added at the end in a fixed order.
constexpr std::int64_t kSumBytes = 1 << 20;       ///< of the panels at once: both these and a block stay in the caches
constexpr std::int64_t kSumBytesAgain = 4 << 20;  ///< where x is brought to points anew for each of these groups
constexpr std::int64_t kBlockBytes = 2 << 20;
constexpr std::int64_t kKeptBytes = 12 << 20;  ///< x at points as a whole, if few tiles take no more: made only once
constexpr std::int64_t kPanelsAtOnce = 8;
constexpr std::int64_t kTilesAtOnce = 252;  ///< that one tile of sums runs over: factors stay in the nearest caches

/// sums[panel][point][channel][lane] += a(tile, channel) * b(tile, lane) over the tiles of a block, point by point.
template <class T>
class PointSums {
 public:
  explicit PointSums(const Tiles& tiles) : tiles_(tiles) {}

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
                 .target = {rows.data(), width, !first_block || first > 0, nullptr}});
          });
        }
      }
    }
  }

 private:
  const Tiles& tiles_;
  std::vector<std::int64_t> rows_;  ///< of the block, at one point
  std::vector<const T*> as_, bs_;
};

/// Tiles as elements: in pairs of those that are not 0 at a point.
template <class T>
Tiles::Matrix<T> as_elements(const Tiles& tiles, Range block, const Tiles::Matrix<Sum<T>>& from, std::int64_t count,
                             const Tiles::Matrix<T>& to) {
  if constexpr (kFactors<T> == 1) {
    return from;
  } else {
    const std::vector<float> zeros(static_cast<std::size_t>(count));
    std::vector<std::int64_t> rows;
    for (int point = 0; point < tiles.points(); ++point) {
      tiles.find_rows(block, point, rows);
      for (std::size_t i = 0; i < rows.size(); i += 2) {
        const float* second = i + 1 < rows.size() ? from.row(point, rows[i + 1]) : zeros.data();
        kernels<Bf16Pair>().interleave(from.row(point, rows[i]), second, count,
                                       to.row(point, static_cast<std::int64_t>(i / 2)));
      }
    }
    return to;
  }
}

class WinogradGradient final : public Algorithm {
 public:
  WinogradGradient(std::string_view name, TileSize pixels, Compute compute)
      : name_(name), pixels_(pixels), precision_(compute) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::deconv2d_weights && winograd_takes(problem, precision_);
  }
  double estimate(const Problem& problem) const override { return winograd_estimate(problem, precision_, pixels_); }

  Tensor run(const Problem& problem, const Tensor& x, const Tensor& g, const Epilogue&) const override {
    return precision_.dispatch(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, x, g); });
  }

 private:
  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& x, const Tensor& g) const {
    using N = Sum<T>;
    const Conv2DSizes s = conv2d_sizes(problem);
    const Tiles tiles(s, pixels_);
    const std::int64_t points = tiles.points(), depth = tiles.channels(), lanes = tiles.lanes();
    const Panels<N> panels{depth, lanes, nullptr};
    const std::int64_t panel = kernels<N>().panel(), size = StackedPanels<N>::size(tiles.taps(), depth, lanes);
    const Tensor pixels = channels_last(x), image = channels_last(g);

    const std::int64_t pieces = num_native_pieces(s), panel_parts = std::min(pieces, panels.count());
    const std::int64_t tile_parts = std::min(pieces / panel_parts, tiles.count());
    const std::int64_t depth_step = odd_lines<N>(depth), own_tiles = ceil_div(tiles.count(), tile_parts);
    const bool keeps_x = own_tiles <= 2 * kTilesAtOnce &&
                         points * own_tiles * depth_step * static_cast<std::int64_t>(sizeof(N)) <= kKeptBytes;
    const std::int64_t affordable =
        (keeps_x ? kSumBytes : kSumBytesAgain) / (points * depth * panel * static_cast<std::int64_t>(sizeof(N)));
    const std::int64_t at_once =
        std::clamp<std::int64_t>(affordable, 1, std::min(kPanelsAtOnce, ceil_div(panels.count(), panel_parts)));
    const std::int64_t lane_step = odd_lines<N>(at_once * panel);
    const std::int64_t height =
        keeps_x ? own_tiles : block_height<N>(points * (depth_step + lane_step), own_tiles, kBlockBytes);
    const Scratch<N> taps(tile_parts, s.groups * size);
    const Scratch<N> buffers(pieces, points * (height * (depth_step + lane_step) + depth * at_once * panel));
    const std::int64_t half = elements_for<T>(height);
    const Scratch<T> element_buffers(kFactors<T> == 1 ? 0 : pieces, points * half * (depth_step + lane_step));
    for_each_piece(tile_parts * panel_parts, [&](std::int64_t piece) {
      const Range own = part_of({0, tiles.count()}, piece / panel_parts, tile_parts);
      const Range own_panels = part_of({0, panels.count()}, piece % panel_parts, panel_parts);
      N* const scratch = buffers.of_piece(piece);
      const Tiles::Matrix<N> a{scratch, height, depth_step};
      const Tiles::Matrix<N> b{scratch + points * height * depth_step, height, lane_step};
      N* const sums = scratch + points * height * (depth_step + lane_step);
      T* const elements = element_buffers.of_piece(piece);
      const Tiles::Matrix<T> a_elements{elements, half, depth_step};
      const Tiles::Matrix<T> b_elements{elements + points * half * depth_step, half, lane_step};
      Tiles::Matrix<T> as{};
      PointSums<T> point_sums(tiles);
      for (std::int64_t group = 0; group < s.groups; ++group) {
        const StackedPanels<N> to{tiles.taps(), depth, lanes, taps.of_piece(piece / panel_parts) + group * size};
        for (std::int64_t p = own_panels.first; p < own_panels.last; p += at_once) {
          const Range some{p, std::min(p + at_once, own_panels.last)};
          const Range range{some.first * panel, std::min(some.last * panel, lanes)};
          for (std::int64_t first = own.first; first < own.last; first += height) {
            const Range block{first, std::min(first + height, own.last)};
            if (!keeps_x || p == own_panels.first) {
              tiles.gather_x(group, pixels.data<N>(), block, a);
              as = as_elements<T>(tiles, block, a, depth, a_elements);
            }
            tiles.gather_y(group, image.data<N>(), block, range, b);
            const Tiles::Matrix<T> bs = as_elements<T>(tiles, block, b, range.size(), b_elements);
            point_sums.add(as, bs, block, first == own.first, some, panels, sums);
          }
          for (std::int64_t q = some.first; q < some.last; ++q)
            panel_to_taps(tiles, sums + (q - some.first) * panel * points * depth, q, to);
        }
      }
    });

    Tensor w = Tensor::empty(s.w_shape(), problem.dtype);
    for (std::int64_t group = 0; group < s.groups; ++group) {
      std::vector<StackedPanels<N>> parts;
      for (std::int64_t part = 0; part < tile_parts; ++part)
        parts.push_back({tiles.taps(), depth, lanes, taps.of_piece(part) + group * size});
      taps_to_weights(s, tiles, group, parts, w.mutable_data<N>());
    }
    return w;
  }

  std::string_view name_;
  TileSize pixels_;
  Precision precision_;
};

}  // namespace

const Algorithm& winograd_gradient() {
  static const WinogradGradient instance("winograd", TileSize::two, Compute::exact);
  return instance;
}
const Algorithm& wide_winograd_gradient() {
  static const WinogradGradient instance("wide_winograd", TileSize::four, Compute::exact);
  return instance;
}
const Algorithm& bf16_winograd_gradient() {
  static const WinogradGradient instance("bf16_winograd", TileSize::two, Compute::bfloat16);
  return instance;
}

}  // namespace dygrad::native
