// Winograd fwd and bwd_data: tiles of the image in the transform domain, times the transformed filter, a GEMM per
// point, and back. See Note [Winograd] and Note [Tiles of a transposed convolution].
#include <array>
#include <limits>

#include <dygrad/backends/common/plain_sums.h>
#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/packing/bias_init.h>
#include <dygrad/backends/native/packing/workspace.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/backends/native/winograd/winograd.h>
#include <dygrad/backends/native/winograd/winograd_range.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

// Note [Work partition of Winograd]
// A thread owns some tiles and some lanes of the result. It transforms its tiles, and the filter where that is not
// kept: threads share whichever is more. Adjacent tiles of fwd add to the same outputs, so there whole images are
// distributed, and their tiles come in order: a result does not depend on the number of threads.
struct TilePartition2D {
  std::int64_t tile_parts = 1, panel_parts = 1;
  double balance = 1;  ///< mean over maximum of the work of threads

  template <class T>
  static TilePartition2D of(std::int64_t units, std::int64_t tiles_in_unit, std::int64_t panels, std::int64_t chunks,
                            bool keeps_weights) {
    constexpr std::int64_t kTransform = 6;  // multiply-adds that take as long as to transform an element
    const std::int64_t mr = kernels<T>().mr();
    const auto time = [&](std::int64_t a, std::int64_t b) {
      const std::int64_t tiles = ceil_div(units, a) * tiles_in_unit, lanes = ceil_div(panels, b) * kernels<T>().nr();
      return ceil_div(tiles, mr) * mr * lanes + kTransform * (tiles + (keeps_weights ? 0 : lanes));
    };
    TilePartition2D best;
    std::int64_t least = time(1, 1);
    for (std::int64_t a = 1; a <= std::min(chunks, units); ++a) {
      const std::int64_t b = std::min(chunks / a, panels);
      if (time(a, b) <= least) least = time(a, b), best = {a, b};
    }
    if (least > 0) best.balance = static_cast<double>(time(1, 1)) / static_cast<double>(chunks * least);
    return best;
  }
  std::int64_t chunks() const { return tile_parts * panel_parts; }
};

struct Blocking {
  std::int64_t bytes, panels;  ///< of transformed tiles and their GEMMs; panels of results that are kept
};
/// Both stay in L2; or the filter is transformed once for many tiles.
constexpr Blocking kWithKept{256 << 10, 2}, kWithoutKept{8 << 20, 2};

/// The GEMMs of a block of tiles with one panel of the filter, one for each point.
template <class T>
class WinogradGemm {
 public:
  WinogradGemm(const Tiles& tiles, Range block) {
    for (int point = 0; point < tiles.points(); ++point)
      tiles.find_rows(block, point, rows_[static_cast<std::size_t>(point)]);
  }

  /// c[i][j] += sum of a[i][k] * weights[k - ks.first][j] over k in `ks`, for the lanes of a panel from `lane` of c on.
  /// The first ones start from 0.
  void multiply(const Tiles::Matrix<T>& a, const T* weights, Range ks, int vectors, const Tiles::Matrix<acc_t<T>>& c,
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
      sources_.resize(rows.size() + kMaxMr, sources_.back());
      IgemmTile<T> tile{.a = nullptr,
                        .b = weights + static_cast<std::int64_t>(point) * ks.size() * width,
                        .ldb = width,
                        .a_offsets = &kStart,
                        .b_rows = &kStart,
                        .num_segments = 1,
                        .depth = ks.size(),
                        .target = {nullptr, width, ks.first > 0, nullptr}};
      for_each_tile<T>(static_cast<std::int64_t>(rows.size()), [&](std::int64_t row, int variant) {
        tile.a = sources_.data() + row;
        tile.target.rows = targets_.data() + row;
        kernel.igemm[vectors - 1][variant](tile);
      });
    }
  }

 private:
  std::array<std::vector<std::int64_t>, kMaxPoints> rows_;  ///< of the block that are not 0 at a point
  std::vector<const T*> sources_;
  std::vector<acc_t<T>*> targets_;
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

/// Rows of scalars as rows of elements T.
template <class T>
Tiles::Matrix<T> pack_vnni(const Tiles::Matrix<acc_t<T>>& from, std::int64_t points, std::int64_t rows,
                           std::int64_t count, const Tiles::Matrix<T>& to) {
  if constexpr (kVnniBlock<T> == 1) {
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

class Winograd final : public NativeAlgorithm {
 public:
  Winograd(const AlgorithmKey& key, int m)
      : NativeAlgorithm(key), forward_(key.kind == Problem::Kind::conv2d_transpose), m_(m) {}
  double estimate(const Problem& problem) const override { return winograd_estimate(problem, precision(), m_); }

  Tensor run_whole(const Problem& problem, const Tensor& image, const Tensor& w,
                   const Epilogue& epilogue) const override {
    return dispatch(problem, [&]<class T>() { return run_on<T>(problem, image, w, epilogue); });
  }

 protected:
  bool supports_sizes(const Problem& problem) const override { return winograd_supports(problem, precision()); }

 private:
  bool forward() const { return forward_; }

  template <class T>
  Tensor run_on(const Problem& problem, const Tensor& image, const Tensor& w, const Epilogue& epilogue) const {
    using N = acc_t<T>;
    const Conv2DSizes s = conv2d_sizes(problem);
    const Tiles tiles(s, m_);
    const std::int64_t points = tiles.points();
    const std::int64_t depth = forward() ? tiles.channels() : tiles.lanes();
    const std::int64_t lanes = forward() ? tiles.lanes() : tiles.channels();
    const TransformedFilter<T> weights(*this, s, tiles, w, forward());
    if (!has_even_range(weights.magnitude())) return compute_plainly(problem, image, w, epilogue);
    const Blocking blocking = weights.kept() ? kWithKept : kWithoutKept;

    const Tensor source = channels_last(image);
    const Tensor result =
        Tensor::empty(forward() ? s.y_shape() : s.x_shape(), problem.dtype, MemoryFormat::channels_last);
    const bool filled = forward() && !tiles.cover_output();
    if (filled) fill_with_bias(s, epilogue.bias, result.mutable_data<N>());
    const BiasInit<N> init(filled ? Tensor() : epilogue.bias, s.groups, forward() ? s.filters_in_group() : lanes,
                           forward() ? tiles.subkernels() : 1);

    const Panels<N> panels{depth, lanes, nullptr};
    const std::int64_t unit = forward() ? tiles.per_image() : kernels<T>().mr();
    const TilePartition2D partition = TilePartition2D::of<T>(ceil_div(tiles.count(), unit), unit, panels.count(),
                                                             num_native_chunks(s), weights.kept());
    const std::int64_t at_once = std::min(blocking.panels, ceil_div(panels.count(), partition.panel_parts));
    const std::int64_t depth_ld = padded_leading_dim<N>(depth),
                       lane_ld = padded_leading_dim<N>(at_once * kernels<N>().nr());
    const std::int64_t most_tiles = ceil_div(ceil_div(tiles.count(), unit), partition.tile_parts) * unit;
    const std::int64_t k_blocks = num_packed<T>(depth), panel = kernels<T>().nr();
    const std::int64_t packed_ld = kVnniBlock<T> == 1 ? 0 : padded_leading_dim<T>(k_blocks);
    const std::int64_t height = block_height<N>(points * (depth_ld + lane_ld), most_tiles, blocking.bytes);
    const Workspace<T> packed_buffers(kVnniBlock<T> == 1 ? 0 : partition.chunks(),
                                      points * height * packed_ld + weights.packed_size());
    const Workspace<N> buffers(partition.chunks(), points * height * (depth_ld + lane_ld) + weights.scratch_size());
    const double most = most_of_tile<N>(weights.magnitude(), depth);
    std::vector<OutlyingTiles> outlying(static_cast<std::size_t>(partition.tile_parts));
    parallel_for_chunks(partition.chunks(), [&](std::int64_t chunk) {
      const Range units =
          part_of({0, ceil_div(tiles.count(), unit)}, chunk / partition.panel_parts, partition.tile_parts);
      const Range own_panels = part_of({0, panels.count()}, chunk % partition.panel_parts, partition.panel_parts);
      const Range own{units.first * unit, std::min(units.last * unit, tiles.count())};
      N* const scratch = buffers.of_chunk(chunk);
      const Tiles::Matrix<N> a{scratch, height, depth_ld};
      N* const panel_scratch = scratch + points * height * (depth_ld + lane_ld);
      const Tiles::Matrix<T> packed{packed_buffers.of_chunk(chunk), height, packed_ld};
      T* const panel_packed = packed_buffers.of_chunk(chunk) + points * height * packed_ld;
      const Tiles::Matrix<N> c{scratch + points * height * depth_ld, height, lane_ld};
      std::vector<N> squares(static_cast<std::size_t>(height));
      for (std::int64_t group = 0; group < s.groups; ++group) {
        TileLimits<N> limits(forward() ? PixelRange<N>::of_x(s, group, source) : PixelRange<N>::of_y(s, group, source),
                             tiles.per_image(), most);
        for (std::int64_t first = own.first; first < own.last; first += height) {
          const Range block{first, std::min(first + height, own.last)};
          if (forward()) tiles.transform_x(group, source.data<N>(), block, a, squares.data());
          else tiles.transform_y(group, source.data<N>(), block, {0, depth}, a, squares.data());
          for (std::int64_t i = 0; i < block.size(); ++i) {
            if (limits.allow(first + i, squares[static_cast<std::size_t>(i)])) continue;
            for (std::int64_t point = 0; point < points; ++point) std::fill_n(a.row(point, i), depth, N{0});
            if (own_panels.first == 0)
              outlying[static_cast<std::size_t>(chunk / partition.panel_parts)].push_back({group, first + i});
          }
          const Tiles::Matrix<T> rows = pack_vnni<T>(a, points, block.size(), depth, packed);
          WinogradGemm<T> gemm(tiles, block);
          for (std::int64_t p = own_panels.first; p < own_panels.last; p += at_once) {
            const Range some{p, std::min(p + at_once, own_panels.last)};
            for (std::int64_t q = some.first; q < some.last; ++q) {
              for (std::int64_t k = 0; k < k_blocks; k += weights.depth_at_once()) {
                const Range ks{k, std::min(k + weights.depth_at_once(), k_blocks)};
                const T* b = weights.panel(group, q, ks, panel_scratch, panel_packed);
                gemm.multiply(rows, b, ks, panels.vectors_of(q), c, (q - some.first) * panel);
              }
            }
            const std::int64_t lane = some.first * panel;
            const Range range{lane, std::min(some.last * panel, lanes)};
            const N* start = init.of_group(group) ? init.of_group(group) + lane : nullptr;
            const Tiles::Matrix<const N> from{c.data, c.height, c.step};
            if (forward()) tiles.untransform_y(group, from, block, range, start, filled, result.mutable_data<N>());
            else tiles.untransform_x(group, from, block, range, start, result.mutable_data<N>());
          }
        }
      }
    });
    const OutlyingTiles left_out = joined(outlying);
    if (!left_out.empty() && forward()) add_plainly(problem, tiles, left_out, source, w, result);
    else if (!left_out.empty()) write_plainly(problem, tiles, left_out, source, w, epilogue.bias, result);
    kernel::activate(epilogue.activation, result);  // not before: tiles add to what adjacent ones wrote
    return result;
  }

  bool forward_;
  int m_;
};

}  // namespace

bool winograd_supports(const Problem& problem, const Precision& precision) {
  return precision.supports(problem) && problem.math_mode != MathMode::strict && Tiles::suit(conv2d_sizes(problem));
}

/// Floating-point operations below which a problem keeps all its digits: F2 and F4 would save too little.
constexpr double kWorthF2 = 1e6, kWorthF4 = 8e6;

namespace {

/// The GEMMs of one group, one for each point.
template <class T>
WorkCounts work_counts(Problem::Kind kind, const Tiles& tiles) {
  const double share = tiles.num_multiplications() / static_cast<double>(tiles.count() * tiles.points());
  const auto points = static_cast<double>(tiles.points());
  WorkCounts counts;
  if (kind == Problem::Kind::conv2d_weights) {
    const auto blocks = static_cast<double>(ceil_div(tiles.count(), kTilesAtOnce));
    const auto depth = share * static_cast<double>(num_packed<T>(tiles.count())) / blocks;
    counts.add_tiles<T>(tiles.channels(), tiles.lanes(), depth, points * blocks);
    return counts;
  }
  const bool forward = kind == Problem::Kind::conv2d_transpose;
  const std::int64_t depth = forward ? tiles.channels() : tiles.lanes();
  counts.add_tiles<T>(tiles.count(), forward ? tiles.lanes() : tiles.channels(),
                      static_cast<double>(num_packed<T>(depth)), points * share);
  return counts;
}

}  // namespace

double winograd_estimate(const Problem& problem, const Precision& precision, int m) {
  const Conv2DSizes s = conv2d_sizes(problem);
  const double worth = m == 4 ? kWorthF4 : kWorthF2;
  if (cost::flop(s) < worth) return std::numeric_limits<double>::infinity();
  const Tiles tiles(s, m);
  const bool lanes_are_channels = problem.kind == Problem::Kind::conv2d;
  const auto size = static_cast<double>(size_of(problem.dtype)), groups = static_cast<double>(s.groups);
  const auto count = static_cast<double>(tiles.count()) * groups, points = static_cast<double>(tiles.points());
  const auto depth = static_cast<double>(tiles.channels()), lanes = static_cast<double>(tiles.lanes());
  const std::int64_t summed = problem.kind == Problem::Kind::conv2d_weights ? tiles.count()
                              : lanes_are_channels                          ? tiles.lanes()
                                                                            : tiles.channels();
  const WorkCounts counts =
      precision.dispatch(problem.dtype, "winograd", [&]<class T>() { return work_counts<T>(problem.kind, tiles); });
  const double rate =
      problem.kind == Problem::Kind::conv2d_weights ? 0.85 : 1;  // rank-1 updates load both operands through pointers
  const double compute =
      groups * counts.parallel_seconds(problem.dtype, rate * precision.flop_rate(problem.dtype, summed));
  // What a segment of a tile costs at each point, and each element of a transform. Large images come from memory, y in
  // pieces that are not prefetched.
  constexpr double kSegment = 10e-9, kTransformRate = 20e9, kInCaches = 8 << 20;
  const double copies =
      count * points *
      ((static_cast<double>(tiles.segments()) + 0.8) * kSegment + (lanes + depth) * size / kTransformRate);
  constexpr double kWeight = cost::kReorders * 1.9e-9;  // to pack one
  const double weights = points * depth * lanes * groups * size;
  const double x_bytes = static_cast<double>(num_elements(s.x_shape())) * size;
  const double y_bytes = static_cast<double>(num_elements(s.y_shape())) * size;
  const double memory = kWeight * static_cast<double>(num_elements(s.w_shape())) +
                        (std::max(x_bytes + 2 * y_bytes - kInCaches, 0.) + weights / 2) / cost::kBandwidth;
  const Panels<float> panels{0, lanes_are_channels ? tiles.channels() : tiles.lanes(), nullptr};
  const bool shares_lanes_first = problem.kind == Problem::Kind::conv2d_weights && panels.count() >= num_threads();
  const std::int64_t unit = problem.kind == Problem::Kind::conv2d_transpose ? tiles.per_image() : kernels<float>().mr();
  const std::int64_t units = shares_lanes_first ? 1 : ceil_div(tiles.count(), unit);
  const double balance = TilePartition2D::of<float>(units, unit, panels.count(), num_threads(), true).balance;
  constexpr double kStart = 3e-6;  // to list tiles and partition them
  constexpr double kMargin = 1.2;  // digits are only given up for a gain
  const double margin = m == 4 ? kMargin : 1;
  const double alone = margin * (kStart + cost::seconds((compute + copies + memory) / balance, 0));
  const double rounded = problem.kind == Problem::Kind::conv2d_weights ? depth + lanes
                         : lanes_are_channels                          ? lanes
                                                                       : depth;
  constexpr double kFromCache = 1. / 3;  // of the time that packing from memory takes
  return precision.with_conversion(alone, static_cast<std::int64_t>(kFromCache * count * points * rounded));
}

std::unique_ptr<Algorithm> make_winograd_f2(const AlgorithmKey& key) { return std::make_unique<Winograd>(key, 2); }
std::unique_ptr<Algorithm> make_winograd_f4(const AlgorithmKey& key) { return std::make_unique<Winograd>(key, 4); }

}  // namespace dygrad::native
