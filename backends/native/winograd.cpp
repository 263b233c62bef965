// D and B with fewer products: tiles of the image at points, times weights at the same points, and back into tiles.
// See Note [Winograd] in transforms.h and Note [Tiles of a transposed convolution] in winograd_tiles.h.
#include <dygrad/backends/native/algorithms.h>
#include <dygrad/backends/native/convolve.h>
#include <dygrad/backends/native/operands.h>
#include <dygrad/backends/native/winograd.h>

namespace dygrad::native {

namespace {

// Note [Who computes which tiles]
// A thread owns some tiles and some lanes of the result. Neighbouring tiles of D add to the same outputs, so there
// whole images are shared out, and their tiles come in order: a result does not depend on the number of threads.
struct Division {
  std::int64_t tile_parts = 1, panel_parts = 1;

  template <class T>
  static Division of(std::int64_t units, std::int64_t tiles_in_unit, std::int64_t panels, std::int64_t pieces) {
    const std::int64_t height = kernels<T>().rows();
    Division best;
    double least = 0;
    for (std::int64_t a = 1; a <= std::min(pieces, units); ++a) {
      const std::int64_t b = std::min(pieces / a, panels);
      const double rows = static_cast<double>(ceil_div(ceil_div(units, a) * tiles_in_unit, height));
      const double time = rows * static_cast<double>(ceil_div(panels, b));
      if (least == 0 || time <= least) least = time, best = {a, b};
    }
    return best;
  }
  std::int64_t pieces() const { return tile_parts * panel_parts; }
};

/// Rows of points at a time: what they read and the products of some panels stay in the second-level cache.
constexpr std::int64_t kBlockBytes = 1 << 20;
constexpr std::int64_t kPanelsAtOnce = 4;

/// c = a times the weights of some panels, point by point, for a block of tiles.
template <class T>
class PointProduct {
 public:
  PointProduct(const Tiles& tiles, Range block, std::int64_t depth) : tiles_(tiles), block_(block), depth_(depth) {}

  void multiply(const Tiles::Matrix<T>& a, const PointPanels<T>& weights, Range panels, const Tiles::Matrix<T>& c) {
    for (int point = 0; point < tiles_.points(); ++point) {
      tiles_.find_rows(block_, point, rows_);
      if (!rows_.empty()) multiply_point(point, a, weights, panels, c);
    }
  }

 private:
  void multiply_point(std::int64_t point, const Tiles::Matrix<T>& a, const PointPanels<T>& weights, Range panels,
                      const Tiles::Matrix<T>& c) {
    const Kernels<T>& kernel = kernels<T>();
    const Panels<T> one = weights.of_one_point();
    constexpr std::int64_t kStart = 0;
    const auto count = static_cast<std::int64_t>(rows_.size());
    sources_.clear();
    for (const std::int64_t row : rows_) sources_.push_back(a.row(point, row));
    sources_.resize(static_cast<std::size_t>(count + kMaxRows), sources_.back());
    targets_.resize(static_cast<std::size_t>(count));
    for (std::int64_t p = panels.first; p < panels.last; ++p) {
      const std::int64_t lane = (p - panels.first) * kernel.panel();
      for (std::size_t i = 0; i < rows_.size(); ++i) targets_[i] = c.row(point, rows_[i]) + lane;
      ProductTile<T> tile{.a = nullptr,
                          .b = weights.panel(p, point),
                          .b_step = one.width_of(p),
                          .a_offsets = &kStart,
                          .b_rows = &kStart,
                          .segments = 1,
                          .depth = depth_,
                          .target = {nullptr, one.width_of(p), false, nullptr}};
      for_each_tile<T>(count, [&](std::int64_t row, int height) {
        tile.a = sources_.data() + row;
        tile.target.rows = targets_.data() + row;
        kernel.product[one.vectors_of(p) - 1][height](tile);
      });
    }
  }

  const Tiles& tiles_;
  Range block_;
  std::int64_t depth_;
  std::vector<std::int64_t> rows_;  ///< of the block, at this point
  std::vector<const T*> sources_;
  std::vector<T*> targets_;
};

/// Outputs that no tile reaches are bias alone; the others are added to it.
template <class T>
void fill_with_bias(const Conv2DSizes& s, const Tensor& bias, T* y) {
  const Tensor dense = bias.defined() ? raw::contiguous(bias) : Tensor();
  const T* from = bias.defined() ? dense.data<T>() : nullptr;
  parallel_for(s.n * s.oh * s.ow, (1 << 14) / s.o + 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t pixel = first; pixel < last; ++pixel) {
      if (from) std::copy_n(from, s.o, y + pixel * s.o);
      else std::fill_n(y + pixel * s.o, s.o, T{0});
    }
  });
}

class Winograd final : public Algorithm {
 public:
  explicit Winograd(Problem::Kind kind) : kind_(kind) {}
  std::string_view name() const override { return "winograd"; }
  std::string implementation(const Problem&) const override { return kernels<float>().instruction_set; }
  bool supports(const Problem& problem) const override { return problem.kind == kind_ && winograd_takes(problem); }
  double estimate(const Problem& problem) const override { return winograd_estimate(problem); }

  Tensor run(const Problem& problem, const Tensor& image, const Tensor& w, const Tensor& bias) const override {
    return dispatch_float(problem.dtype, name(), [&]<class T>() { return run_on<T>(problem, image, w, bias); });
  }

 private:
  bool forward() const { return kind_ == Problem::Kind::deconv2d; }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& image, const Tensor& w, const Tensor& bias) const {
    const Conv2DSizes s = conv2d_sizes(problem);
    const Tiles tiles(s);
    const std::int64_t points = tiles.points();
    const std::int64_t depth = forward() ? tiles.channels() : tiles.lanes();
    const std::int64_t lanes = forward() ? tiles.lanes() : tiles.channels();
    const std::int64_t group_size = PointPanels<T>::size(points, depth, lanes);
    const auto weights = packed_weights<T>(*this, s, w, s.groups * group_size, [&](const T* from, T* to) {
      for (std::int64_t group = 0; group < s.groups; ++group) {
        weights_to_points<T>(s, tiles, group, from, {points, depth, lanes, to + group * group_size}, !forward());
      }
    });

    const Tensor source = channels_last(image);
    const Tensor result =
        Tensor::empty(forward() ? s.y_shape() : s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const bool filled = forward() && !tiles.cover_output();
    if (filled) fill_with_bias(s, bias, result.mutable_data<T>());
    const InitialValues<T> init(filled ? Tensor() : bias, s.groups, forward() ? s.filters_in_group() : lanes,
                                forward() ? tiles.phases() : 1);

    const Panels<T> panels{depth, lanes, nullptr};
    const std::int64_t unit = forward() ? tiles.per_image() : kernels<T>().rows();
    const Division division =
        Division::of<T>(ceil_div(tiles.count(), unit), unit, panels.count(), num_native_pieces(s));
    const std::int64_t at_once = std::min(kPanelsAtOnce, ceil_div(panels.count(), division.panel_parts));
    const std::int64_t depth_step = odd_lines<T>(depth), lane_step = odd_lines<T>(at_once * kernels<T>().panel());
    const std::int64_t most_tiles = ceil_div(ceil_div(tiles.count(), unit), division.tile_parts) * unit;
    const std::int64_t height = block_height<T>(points * (depth_step + lane_step), most_tiles, kBlockBytes);
    const Scratch<T> buffers(division.pieces(), points * height * (depth_step + lane_step));
    parallel_for(division.pieces(), 1, [&](std::int64_t first_piece, std::int64_t last_piece) {
      for (std::int64_t piece = first_piece; piece < last_piece; ++piece) {
        const Range units =
            part_of({0, ceil_div(tiles.count(), unit)}, piece / division.panel_parts, division.tile_parts);
        const Range own_panels = part_of({0, panels.count()}, piece % division.panel_parts, division.panel_parts);
        const Range own{units.first * unit, std::min(units.last * unit, tiles.count())};
        T* const scratch = buffers.of_piece(piece);
        const Tiles::Matrix<T> a{scratch, height, depth_step};
        const Tiles::Matrix<T> c{scratch + points * height * depth_step, height, lane_step};
        for (std::int64_t group = 0; group < s.groups; ++group) {
          const PointPanels<T> factors{points, depth, lanes,
                                       weights->numbers.template mutable_data<T>() + group * group_size};
          for (std::int64_t first = own.first; first < own.last; first += height) {
            const Range block{first, std::min(first + height, own.last)};
            if (forward()) tiles.gather_x(group, source.data<T>(), block, a);
            else tiles.gather_y(group, source.data<T>(), block, {0, depth}, a);
            PointProduct<T> product(tiles, block, depth);
            for (std::int64_t p = own_panels.first; p < own_panels.last; p += at_once) {
              const Range some{p, std::min(p + at_once, own_panels.last)};
              product.multiply(a, factors, some, c);
              const std::int64_t lane = some.first * kernels<T>().panel();
              const Range range{lane, std::min(some.last * kernels<T>().panel(), lanes)};
              const T* start = init.of_group(group) ? init.of_group(group) + lane : nullptr;
              const Tiles::Matrix<const T> from{c.data, c.height, c.step};
              if (forward()) tiles.scatter_y(group, from, block, range, start, filled, result.mutable_data<T>());
              else tiles.scatter_x(group, from, block, range, start, result.mutable_data<T>());
            }
          }
        }
      }
    });
    return result;
  }

  Problem::Kind kind_;
};

}  // namespace

bool winograd_takes(const Problem& problem) {
  return is_floating(problem.dtype) && problem.compute != Compute::direct && Tiles::suit(conv2d_sizes(problem));
}

double winograd_estimate(const Problem& problem) {
  const Conv2DSizes s = conv2d_sizes(problem);
  const Tiles tiles(s);
  const std::int64_t vector = problem.dtype == DType::float64 ? kernels<double>().lanes : kernels<float>().lanes;
  const auto size = static_cast<double>(size_of(problem.dtype)), groups = static_cast<double>(s.groups);
  const auto count = static_cast<double>(tiles.count()) * groups, points = static_cast<double>(tiles.points());
  const auto depth = static_cast<double>(tiles.channels()), lanes = static_cast<double>(tiles.lanes());
  const bool lanes_are_channels = problem.kind == Problem::Kind::deconv2d_data;
  const double use = cost::lane_use(lanes_are_channels ? tiles.channels() : tiles.lanes(), vector);
  const double products = 2 * tiles.num_products() * groups * depth * lanes / use / cost::product_rate(problem.dtype);
  // What finding and transforming a stretch of a tile costs, and each number of y.
  constexpr double kTile = 3e-9, kStretch = 11e-9, kTransformRate = 17e9;
  const double stretches = static_cast<double>(tiles.stretches());
  const double copies = count * points * (kTile + stretches * kStretch + lanes * size / kTransformRate);
  const double weights = points * depth * lanes * groups * size;
  return cost::seconds(products + copies, (cost::bytes(s, problem.dtype) + weights) / cost::kBandwidth);
}

const Algorithm& winograd() {
  static const Winograd instance(Problem::Kind::deconv2d);
  return instance;
}
const Algorithm& winograd_data() {
  static const Winograd instance(Problem::Kind::deconv2d_data);
  return instance;
}

}  // namespace dygrad::native
