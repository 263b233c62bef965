// D and B with fewer products: tiles of the image at points, times weights at the same points, and back into tiles.
// See Note [Winograd] in transforms.h and Note [Tiles of a transposed convolution] in winograd_tiles.h.
#include <array>
#include <limits>

#include <dygrad/backends/common/plain_sums.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/igemm/steps.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/backends/native/winograd/winograd.h>
#include <dygrad/backends/native/winograd/winograd_range.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

// Note [Who computes which tiles]
// A thread owns some tiles and some lanes of the result. It brings its tiles to points, and weights that are not kept
// there: threads share out what is more. Neighbouring tiles of D add to the same outputs, so there whole images are
// shared out, and their tiles come in order: a result does not depend on the number of threads.
struct Division {
  std::int64_t tile_parts = 1, panel_parts = 1;
  double balance = 1;  ///< how busy threads are on average, while the one with most to do works

  template <class T>
  static Division of(std::int64_t units, std::int64_t tiles_in_unit, std::int64_t panels, std::int64_t pieces,
                     bool keeps_weights) {
    constexpr std::int64_t kTransform = 6;  // products that take as long as to bring a number to a point
    const std::int64_t height = kernels<T>().rows();
    const auto time = [&](std::int64_t a, std::int64_t b) {
      const std::int64_t tiles = ceil_div(units, a) * tiles_in_unit, lanes = ceil_div(panels, b) * kernels<T>().panel();
      return ceil_div(tiles, height) * height * lanes + kTransform * (tiles + (keeps_weights ? 0 : lanes));
    };
    Division best;
    std::int64_t least = time(1, 1);
    for (std::int64_t a = 1; a <= std::min(pieces, units); ++a) {
      const std::int64_t b = std::min(pieces / a, panels);
      if (time(a, b) <= least) least = time(a, b), best = {a, b};
    }
    if (least > 0) best.balance = static_cast<double>(time(1, 1)) / static_cast<double>(pieces * least);
    return best;
  }
  std::int64_t pieces() const { return tile_parts * panel_parts; }
};

struct Blocking {
  std::int64_t bytes, panels;  ///< of tiles at points and their products; panels whose products are kept
};
/// Both stay in the second-level cache; or weights are brought to points once for many tiles.
constexpr Blocking kWithKept{256 << 10, 2}, kWithoutKept{8 << 20, 2};

/// Tiles of a block times one panel of weights, point by point.
template <class T>
class PointProduct {
 public:
  PointProduct(const Tiles& tiles, Range block) {
    for (int point = 0; point < tiles.points(); ++point)
      tiles.find_rows(block, point, rows_[static_cast<std::size_t>(point)]);
  }

  /// c[i][j] += sum of a[i][k] * weights[k - ks.first][j] over k in `ks`, for the lanes of a panel from `lane` of c on.
  /// The first ones start from 0.
  void multiply(const Tiles::Matrix<T>& a, const T* weights, Range ks, int vectors, const Tiles::Matrix<Sum<T>>& c,
                std::int64_t lane) {
    const Kernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kStart = 0;
    const std::int64_t width = vectors * kernel.lanes;
    for (std::size_t point = 0; point < rows_.size(); ++point) {
      const std::vector<std::int64_t>& rows = rows_[point];
      if (rows.empty()) continue;
      sources_.clear(), targets_.clear();
      for (const std::int64_t row : rows) {
        sources_.push_back(a.row(static_cast<std::int64_t>(point), row) + ks.first);
        targets_.push_back(c.row(static_cast<std::int64_t>(point), row) + lane);
      }
      sources_.resize(rows.size() + kMaxRows, sources_.back());
      ProductTile<T> tile{.a = nullptr,
                          .b = weights + static_cast<std::int64_t>(point) * ks.size() * width,
                          .b_step = width,
                          .a_offsets = &kStart,
                          .b_rows = &kStart,
                          .segments = 1,
                          .depth = ks.size(),
                          .target = {nullptr, width, ks.first > 0, nullptr}};
      for_each_tile<T>(static_cast<std::int64_t>(rows.size()), [&](std::int64_t row, int height) {
        tile.a = sources_.data() + row;
        tile.target.rows = targets_.data() + row;
        kernel.product[vectors - 1][height](tile);
      });
    }
  }

 private:
  std::array<std::vector<std::int64_t>, kMostPoints> rows_;  ///< of the block that are not 0 at a point
  std::vector<const T*> sources_;
  std::vector<Sum<T>*> targets_;
};

/// Outputs that no tile reaches are bias alone; the others are added to it.
template <class T>
void fill_with_bias(const Conv2DSizes& s, const Tensor& bias, T* y) {
  const Tensor dense = bias.defined() ? kernel::contiguous(bias) : Tensor();
  const T* from = bias.defined() ? dense.data<T>() : nullptr;
  parallel_for(s.n * s.oh * s.ow, (1 << 14) / s.o + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t pixel = first; pixel < last; ++pixel) {
      if (from) std::copy_n(from, s.o, y + pixel * s.o);
      else std::fill_n(y + pixel * s.o, s.o, T{0});
    }
  });
}

/// Rows of numbers as rows of elements.
template <class T>
Tiles::Matrix<T> as_elements(const Tiles::Matrix<Sum<T>>& from, std::int64_t points, std::int64_t rows,
                             std::int64_t count, const Tiles::Matrix<T>& to) {
  if constexpr (kFactors<T> == 1) {
    return from;
  } else {
    for (std::int64_t point = 0; point < points; ++point) {
      for (std::int64_t i = 0; i < rows; ++i) {
        auto* const row = reinterpret_cast<std::uint16_t*>(to.row(point, i));
        kernels<Bf16Pair>().round(from.row(point, i), count, row);
        if (count % 2 != 0) row[count] = 0;
      }
    }
    return to;
  }
}

class Winograd final : public SplitK {
 public:
  Winograd(std::string_view name, Problem::Kind kind, TileSize pixels, MathMode math_mode)
      : name_(name), kind_(kind), pixels_(pixels), precision_(math_mode) {}
  std::string_view name() const override { return name_; }
  std::string implementation(const Problem&) const override { return precision_.instruction_set(); }
  bool supports(const Problem& problem) const override {
    return problem.kind == kind_ && winograd_takes(problem, precision_);
  }
  double estimate(const Problem& problem) const override { return winograd_estimate(problem, precision_, pixels_); }

  Tensor run_whole(const Problem& problem, const Tensor& image, const Tensor& w,
                   const Epilogue& epilogue) const override {
    return precision_.dispatch(problem.dtype, name(),
                               [&]<class T>() { return run_on<T>(problem, image, w, epilogue); });
  }

 private:
  bool forward() const { return kind_ == Problem::Kind::conv2d_transpose; }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& image, const Tensor& w, const Epilogue& epilogue) const {
    using N = Sum<T>;
    const Conv2DSizes s = conv2d_sizes(problem);
    const Tiles tiles(s, pixels_);
    const std::int64_t points = tiles.points();
    const std::int64_t depth = forward() ? tiles.channels() : tiles.lanes();
    const std::int64_t lanes = forward() ? tiles.lanes() : tiles.channels();
    const TileWeights<T> weights(*this, s, tiles, w, forward());
    if (!has_even_range(weights.magnitude())) return compute_plainly(problem, image, w, epilogue);
    const Blocking blocking = weights.kept() ? kWithKept : kWithoutKept;

    const Tensor source = channels_last(image);
    const Tensor result =
        Tensor::empty(forward() ? s.y_shape() : s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const bool filled = forward() && !tiles.cover_output();
    if (filled) fill_with_bias(s, epilogue.bias, result.mutable_data<N>());
    const InitialValues<N> init(filled ? Tensor() : epilogue.bias, s.groups, forward() ? s.filters_in_group() : lanes,
                                forward() ? tiles.phases() : 1);

    const Panels<N> panels{depth, lanes, nullptr};
    const std::int64_t unit = forward() ? tiles.per_image() : kernels<T>().rows();
    const Division division =
        Division::of<T>(ceil_div(tiles.count(), unit), unit, panels.count(), num_native_pieces(s), weights.kept());
    const std::int64_t at_once = std::min(blocking.panels, ceil_div(panels.count(), division.panel_parts));
    const std::int64_t depth_step = odd_lines<N>(depth), lane_step = odd_lines<N>(at_once * kernels<N>().panel());
    const std::int64_t most_tiles = ceil_div(ceil_div(tiles.count(), unit), division.tile_parts) * unit;
    const std::int64_t elements = elements_for<T>(depth), panel = kernels<T>().panel();
    const std::int64_t element_step = kFactors<T> == 1 ? 0 : odd_lines<T>(elements);
    const std::int64_t height = block_height<N>(points * (depth_step + lane_step), most_tiles, blocking.bytes);
    const Scratch<T> element_buffers(kFactors<T> == 1 ? 0 : division.pieces(),
                                     points * height * element_step + weights.num_elements());
    const Scratch<N> buffers(division.pieces(), points * height * (depth_step + lane_step) + weights.num_numbers());
    const double most = most_of_tile<N>(weights.magnitude(), depth);
    std::vector<OutlyingTiles> outlying(static_cast<std::size_t>(division.tile_parts));
    for_each_piece(division.pieces(), [&](std::int64_t piece) {
      const Range units =
          part_of({0, ceil_div(tiles.count(), unit)}, piece / division.panel_parts, division.tile_parts);
      const Range own_panels = part_of({0, panels.count()}, piece % division.panel_parts, division.panel_parts);
      const Range own{units.first * unit, std::min(units.last * unit, tiles.count())};
      N* const scratch = buffers.of_piece(piece);
      const Tiles::Matrix<N> a{scratch, height, depth_step};
      N* const panel_numbers = scratch + points * height * (depth_step + lane_step);
      const Tiles::Matrix<T> in_elements{element_buffers.of_piece(piece), height, element_step};
      T* const panel_elements = element_buffers.of_piece(piece) + points * height * element_step;
      const Tiles::Matrix<N> c{scratch + points * height * depth_step, height, lane_step};
      std::vector<N> squares(static_cast<std::size_t>(height));
      for (std::int64_t group = 0; group < s.groups; ++group) {
        TileLimits<N> limits(forward() ? PixelRange<N>::of_x(s, group, source) : PixelRange<N>::of_y(s, group, source),
                             tiles.per_image(), most);
        for (std::int64_t first = own.first; first < own.last; first += height) {
          const Range block{first, std::min(first + height, own.last)};
          if (forward()) tiles.gather_x(group, source.data<N>(), block, a, squares.data());
          else tiles.gather_y(group, source.data<N>(), block, {0, depth}, a, squares.data());
          for (std::int64_t i = 0; i < block.size(); ++i) {
            if (limits.allow(first + i, squares[static_cast<std::size_t>(i)])) continue;
            for (std::int64_t point = 0; point < points; ++point) std::fill_n(a.row(point, i), depth, N{0});
            if (own_panels.first == 0)
              outlying[static_cast<std::size_t>(piece / division.panel_parts)].push_back({group, first + i});
          }
          const Tiles::Matrix<T> rows = as_elements<T>(a, points, block.size(), depth, in_elements);
          PointProduct<T> product(tiles, block);
          for (std::int64_t p = own_panels.first; p < own_panels.last; p += at_once) {
            const Range some{p, std::min(p + at_once, own_panels.last)};
            for (std::int64_t q = some.first; q < some.last; ++q) {
              for (std::int64_t k = 0; k < elements; k += weights.depth_at_once()) {
                const Range ks{k, std::min(k + weights.depth_at_once(), elements)};
                const T* factors = weights.panel(group, q, ks, panel_numbers, panel_elements);
                product.multiply(rows, factors, ks, panels.vectors_of(q), c, (q - some.first) * panel);
              }
            }
            const std::int64_t lane = some.first * panel;
            const Range range{lane, std::min(some.last * panel, lanes)};
            const N* start = init.of_group(group) ? init.of_group(group) + lane : nullptr;
            const Tiles::Matrix<const N> from{c.data, c.height, c.step};
            if (forward()) tiles.scatter_y(group, from, block, range, start, filled, result.mutable_data<N>());
            else tiles.scatter_x(group, from, block, range, start, result.mutable_data<N>());
          }
        }
      }
    });
    const OutlyingTiles left_out = joined(outlying);
    if (!left_out.empty() && forward()) add_plainly(problem, tiles, left_out, source, w, result);
    else if (!left_out.empty()) write_plainly(problem, tiles, left_out, source, w, epilogue.bias, result);
    kernel::activate(epilogue.activation, result);  // not before: tiles add to what their neighbours wrote
    return result;
  }

  std::string_view name_;
  Problem::Kind kind_;
  TileSize pixels_;
  Precision precision_;
};

}  // namespace

bool winograd_takes(const Problem& problem, const Precision& precision) {
  return precision.takes(problem) && problem.math_mode != MathMode::strict && Tiles::suit(conv2d_sizes(problem));
}

/// Floating-point operations below which a problem keeps all its digits: tiles would save too little, large ones up to
/// a greater size.
constexpr double kWorthTiles = 1e6, kWorthLargeTiles = 8e6;

namespace {

/// The products of one group, point by point.
template <class T>
Steps steps_of(Problem::Kind kind, const Tiles& tiles) {
  const double share = tiles.num_products() / static_cast<double>(tiles.count() * tiles.points());
  const auto points = static_cast<double>(tiles.points());
  Steps steps;
  if (kind == Problem::Kind::conv2d_weights) {
    const auto blocks = static_cast<double>(ceil_div(tiles.count(), kTilesAtOnce));
    const auto depth = share * static_cast<double>(elements_for<T>(tiles.count())) / blocks;
    steps.add_tiles<T>(tiles.channels(), tiles.lanes(), depth, points * blocks);
    return steps;
  }
  const bool forward = kind == Problem::Kind::conv2d_transpose;
  const std::int64_t depth = forward ? tiles.channels() : tiles.lanes();
  steps.add_tiles<T>(tiles.count(), forward ? tiles.lanes() : tiles.channels(),
                     static_cast<double>(elements_for<T>(depth)), points * share);
  return steps;
}

}  // namespace

double winograd_estimate(const Problem& problem, const Precision& precision, TileSize pixels) {
  const Conv2DSizes s = conv2d_sizes(problem);
  const double worth = pixels == TileSize::four ? kWorthLargeTiles : kWorthTiles;
  if (cost::flop(s) < worth) return std::numeric_limits<double>::infinity();
  const Tiles tiles(s, pixels);
  const bool lanes_are_channels = problem.kind == Problem::Kind::conv2d;
  const auto size = static_cast<double>(size_of(problem.dtype)), groups = static_cast<double>(s.groups);
  const auto count = static_cast<double>(tiles.count()) * groups, points = static_cast<double>(tiles.points());
  const auto depth = static_cast<double>(tiles.channels()), lanes = static_cast<double>(tiles.lanes());
  const std::int64_t summed = problem.kind == Problem::Kind::conv2d_weights ? tiles.count()
                              : lanes_are_channels                            ? tiles.lanes()
                                                                              : tiles.channels();
  const Steps steps =
      precision.dispatch(problem.dtype, "winograd", [&]<class T>() { return steps_of<T>(problem.kind, tiles); });
  const double rate = problem.kind == Problem::Kind::conv2d_weights ? 0.85 : 1;  // of tiles that find both factors
  const double products = groups * steps.shared(problem.dtype, rate * precision.product_rate(problem.dtype, summed));
  // What a stretch of a tile costs at each point, and each number on its way to points or back. Large images come from
  // memory, y in pieces that are not foreseen.
  constexpr double kStretch = 10e-9, kTransformRate = 20e9, kInCaches = 8 << 20;
  const double copies =
      count * points *
      ((static_cast<double>(tiles.stretches()) + 0.8) * kStretch + (lanes + depth) * size / kTransformRate);
  constexpr double kWeight = cost::kConversions * 1.9e-9;  // to find and arrange one
  const double weights = points * depth * lanes * groups * size;
  const double x_bytes = static_cast<double>(num_elements(s.x_shape())) * size;
  const double y_bytes = static_cast<double>(num_elements(s.y_shape())) * size;
  const double memory = kWeight * static_cast<double>(num_elements(s.w_shape())) +
                        (std::max(x_bytes + 2 * y_bytes - kInCaches, 0.) + weights / 2) / cost::kBandwidth;
  const Panels<float> panels{0, lanes_are_channels ? tiles.channels() : tiles.lanes(), nullptr};
  const bool shares_lanes_first = problem.kind == Problem::Kind::conv2d_weights && panels.count() >= num_threads();
  const std::int64_t unit = problem.kind == Problem::Kind::conv2d_transpose ? tiles.per_image() : kernels<float>().rows();
  const std::int64_t units = shares_lanes_first ? 1 : ceil_div(tiles.count(), unit);
  const double balance = Division::of<float>(units, unit, panels.count(), num_threads(), true).balance;
  constexpr double kStart = 3e-6;  // to find tiles and share them out
  constexpr double kMargin = 1.2;  // digits are only given up for a gain
  const double margin = pixels == TileSize::four ? kMargin : 1;
  const double alone = margin * (kStart + cost::seconds((products + copies + memory) / balance, 0));
  const double rounded = problem.kind == Problem::Kind::conv2d_weights ? depth + lanes
                         : lanes_are_channels                            ? lanes
                                                                         : depth;
  constexpr double kFromCache = 1. / 3;  // of the time that conversion from memory takes
  return precision.with_conversion(alone, static_cast<std::int64_t>(kFromCache * count * points * rounded));
}

const Algorithm& winograd() {
  static const Winograd& instance =
      *new const Winograd("winograd", Problem::Kind::conv2d_transpose, TileSize::two, MathMode::standard);
  return instance;
}
const Algorithm& winograd_data() {
  static const Winograd& instance =
      *new const Winograd("winograd", Problem::Kind::conv2d, TileSize::two, MathMode::standard);
  return instance;
}
const Algorithm& wide_winograd() {
  static const Winograd& instance =
      *new const Winograd("wide_winograd", Problem::Kind::conv2d_transpose, TileSize::four, MathMode::standard);
  return instance;
}
const Algorithm& wide_winograd_data() {
  static const Winograd& instance =
      *new const Winograd("wide_winograd", Problem::Kind::conv2d, TileSize::four, MathMode::standard);
  return instance;
}
const Algorithm& bf16_winograd() {
  static const Winograd& instance =
      *new const Winograd("bf16_winograd", Problem::Kind::conv2d_transpose, TileSize::two, MathMode::bfloat16);
  return instance;
}
const Algorithm& bf16_winograd_data() {
  static const Winograd& instance =
      *new const Winograd("bf16_winograd", Problem::Kind::conv2d, TileSize::two, MathMode::bfloat16);
  return instance;
}

}  // namespace dygrad::native
