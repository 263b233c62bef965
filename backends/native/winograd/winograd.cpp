// Winograd fwd and bwd_data: tiles of the image in the transform domain, times the transformed filter, a GEMM per
// point, and back. See Note [Winograd] and Note [Tiles of a transposed convolution].
#include <array>

#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/bias_init.h>
#include <dygrad/backends/native/packing/partition.h>
#include <dygrad/backends/native/packing/workspace.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/backends/native/winograd/tile_partition.h>
#include <dygrad/backends/native/winograd/winograd.h>
#include <dygrad/backends/native/winograd/winograd_range.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

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

  /// c[i][j] += sum of a[i][k] * weights[k - ks.first][j] over k in `ks`, for the columns of a panel from `column` of c
  /// on. The first ones start from 0.
  void multiply(const Tiles::Matrix<T>& a, const T* weights, Range ks, int vectors, const Tiles::Matrix<acc_t<T>>& c,
                std::int64_t column) {
    const Kernels<T>& kernel = kernels<T>();
    constexpr std::int64_t kStart = 0;
    const std::int64_t width = vectors * kernel.lanes;
    for (std::size_t point = 0; point < rows_.size(); ++point) {
      const std::vector<std::int64_t>& rows = rows_[point];
      if (rows.empty()) continue;
      sources_.clear(), targets_.clear();
      for (const std::int64_t row : rows) {
        sources_.push_back(a.row(static_cast<std::int64_t>(point), row) + ks.first);
        targets_.push_back(c.row(static_cast<std::int64_t>(point), row) + column);
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

/// One call: fwd from an image of x to y, bwd_data from y to x.
template <class T>
class WinogradRun {
 public:
  using N = acc_t<T>;

  WinogradRun(const Problem& problem, const Conv2DSizes& sizes, const Tiles& tiles, const TransformedFilter<T>& filter,
              const Tensor& image, const Tensor& w, const Epilogue& epilogue)
      : problem_(problem),
        s_(sizes),
        tiles_(tiles),
        filter_(filter),
        image_(channels_last(image)),
        w_(w),
        epilogue_(epilogue),
        result_(Tensor::empty(forward_ ? s_.y_shape() : s_.x_shape(), problem.dtype, MemoryFormat::channels_last)) {}

  Tensor compute() {
    if (filled_) fill_with_bias(s_, epilogue_.bias, result_.template mutable_data<N>());
    parallel_for_chunks(partition_.chunks(), [&](std::int64_t chunk) { compute_chunk(chunk); });
    const OutlyingTiles outlying = joined(outlying_);
    if (!outlying.empty() && forward_) add_direct(problem_, tiles_, outlying, image_, w_, result_);
    else if (!outlying.empty()) write_direct(problem_, tiles_, outlying, image_, w_, epilogue_.bias, result_);
    kernel::activate(epilogue_.activation, result_);  // not before: tiles add to what adjacent ones wrote
    return result_;
  }

 private:
  /// What a chunk works in.
  struct Buffers {
    Tiles::Matrix<N> a;       ///< a block of transformed tiles
    Tiles::Matrix<T> packed;  ///< the same as elements T, if these are pairs
    Tiles::Matrix<N> c;       ///< its products with some panels
    N* filter;                ///< a panel of the filter while it is transformed,
    T* packed_filter;         ///< and as elements T
    std::vector<N> squares;   ///< sums of the squares that each tile reads
  };

  Buffers buffers_of(std::int64_t chunk) const {
    const std::int64_t points = tiles_.points();
    N* const scratch = workspace_.of_chunk(chunk);
    T* const packed = packed_workspace_.of_chunk(chunk);
    return {.a = {scratch, height_, depth_ld_},
            .packed = {packed, height_, packed_ld_},
            .c = {scratch + points * height_ * depth_ld_, height_, n_ld_},
            .filter = scratch + points * height_ * (depth_ld_ + n_ld_),
            .packed_filter = packed + points * height_ * packed_ld_,
            .squares = std::vector<N>(static_cast<std::size_t>(height_))};
  }

  void compute_chunk(std::int64_t chunk) {
    const std::int64_t tile_part = chunk / partition_.panel_parts, panel_part = chunk % partition_.panel_parts;
    const Range units = part_of({0, units_}, tile_part, partition_.tile_parts);
    const Range own{units.first * unit_, std::min(units.last * unit_, tiles_.count())};
    const Range own_panels = part_of({0, panels_.count()}, panel_part, partition_.panel_parts);
    Buffers buffers = buffers_of(chunk);
    OutlyingTiles ignored;  // every thread of a tile finds it
    OutlyingTiles& outlying = panel_part == 0 ? outlying_[static_cast<std::size_t>(tile_part)] : ignored;
    for (std::int64_t group = 0; group < s_.groups; ++group) {
      TileLimits<N> limits(forward_ ? PixelRange<N>::of_x(s_, group, image_) : PixelRange<N>::of_y(s_, group, image_),
                           tiles_.per_image(), most_);
      for (std::int64_t first = own.first; first < own.last; first += height_) {
        const Range block{first, std::min(first + height_, own.last)};
        transform(group, block, limits, buffers, outlying);
        multiply(group, block, own_panels, buffers);
      }
    }
  }

  /// Tiles that are not for transforms become 0.
  void transform(std::int64_t group, Range block, TileLimits<N>& limits, Buffers& to, OutlyingTiles& outlying) const {
    if (forward_) tiles_.transform_x(group, image_.data<N>(), block, to.a, to.squares.data());
    else tiles_.transform_y(group, image_.data<N>(), block, {0, depth_}, to.a, to.squares.data());
    for (std::int64_t i = 0; i < block.size(); ++i) {
      if (limits.allow(block.first + i, to.squares[static_cast<std::size_t>(i)])) continue;
      for (std::int64_t point = 0; point < tiles_.points(); ++point) std::fill_n(to.a.row(point, i), depth_, N{0});
      outlying.push_back({group, block.first + i});
    }
  }

  /// The block's products with these panels, and its part of the result.
  void multiply(std::int64_t group, Range block, Range own_panels, const Buffers& buffers) const {
    const Tiles::Matrix<T> rows = pack_vnni<T>(buffers.a, tiles_.points(), block.size(), depth_, buffers.packed);
    const std::int64_t nr = kernels<T>().nr();
    WinogradGemm<T> gemm(tiles_, block);
    for (std::int64_t p = own_panels.first; p < own_panels.last; p += panels_at_once_) {
      const Range some{p, std::min(p + panels_at_once_, own_panels.last)};
      for (std::int64_t q = some.first; q < some.last; ++q) {
        for (std::int64_t k = 0; k < k_blocks_; k += filter_.depth_at_once()) {
          const Range ks{k, std::min(k + filter_.depth_at_once(), k_blocks_)};
          const T* b = filter_.panel(group, q, ks, buffers.filter, buffers.packed_filter);
          gemm.multiply(rows, b, ks, panels_.vectors_of(q), buffers.c, (q - some.first) * nr);
        }
      }
      write(group, block, {some.first * nr, std::min(some.last * nr, n_)}, buffers.c);
    }
  }

  void write(std::int64_t group, Range block, Range columns, const Tiles::Matrix<N>& c) const {
    const N* const bias = bias_.of_group(group) ? bias_.of_group(group) + columns.first : nullptr;
    const Tiles::Matrix<const N> from{c.data, c.height, c.step};
    N* const to = result_.template mutable_data<N>();
    if (forward_) tiles_.untransform_y(group, from, block, columns, bias, filled_, to);
    else tiles_.untransform_x(group, from, block, columns, bias, to);
  }

  const Problem& problem_;
  const Conv2DSizes& s_;
  const Tiles& tiles_;
  const TransformedFilter<T>& filter_;
  const Tensor image_, w_;
  const Epilogue& epilogue_;
  const bool forward_ = problem_.kind == Problem::Kind::conv2d_transpose;
  const bool filled_ = forward_ && !tiles_.cover_output();  ///< with bias, before tiles are added
  Tensor result_;

  const std::int64_t depth_ = forward_ ? tiles_.channels() : tiles_.y_columns();
  const std::int64_t n_ = forward_ ? tiles_.y_columns() : tiles_.channels();
  const std::int64_t k_blocks_ = num_packed<T>(depth_);
  const Panels<N> panels_{depth_, n_, nullptr};
  const BiasInit<N> bias_{filled_ ? Tensor() : epilogue_.bias, s_.groups, forward_ ? s_.filters_in_group() : n_,
                          forward_ ? tiles_.subkernels() : 1};

  const std::int64_t unit_ = forward_ ? tiles_.per_image() : kernels<T>().mr();  ///< tiles of one thread at least
  const std::int64_t units_ = ceil_div(tiles_.count(), unit_);
  const TilePartition2D partition_ =
      TilePartition2D::of<T>(units_, unit_, panels_.count(), num_native_chunks(s_), filter_.kept());
  const Blocking blocking_ = filter_.kept() ? kWithKept : kWithoutKept;
  const std::int64_t panels_at_once_ = std::min(blocking_.panels, ceil_div(panels_.count(), partition_.panel_parts));
  const std::int64_t depth_ld_ = padded_leading_dim<N>(depth_);
  const std::int64_t n_ld_ = padded_leading_dim<N>(panels_at_once_ * kernels<N>().nr());
  const std::int64_t packed_ld_ = kVnniBlock<T> == 1 ? 0 : padded_leading_dim<T>(k_blocks_);
  const std::int64_t height_ =  ///< tiles of a block
      block_height<N>(tiles_.points() * (depth_ld_ + n_ld_), ceil_div(units_, partition_.tile_parts) * unit_,
                      blocking_.bytes);
  const Workspace<T> packed_workspace_{kVnniBlock<T> == 1 ? 0 : partition_.chunks(),
                                       tiles_.points() * height_* packed_ld_ + filter_.packed_size()};
  const Workspace<N> workspace_{partition_.chunks(),
                                tiles_.points() * height_*(depth_ld_ + n_ld_) + filter_.scratch_size()};
  const double most_ = max_sum_of_squares<N>(filter_.magnitude(), depth_);
  std::vector<OutlyingTiles> outlying_ = std::vector<OutlyingTiles>(static_cast<std::size_t>(partition_.tile_parts));
};

class Winograd final : public NativeAlgorithm {
 public:
  Winograd(const AlgorithmKey& key, int m) : NativeAlgorithm(key), m_(m) {}
  double estimate(const Problem& problem) const override { return winograd_estimate(problem, precision(), m_); }

  Tensor run_unsplit(const Problem& problem, const Tensor& image, const Tensor& w,
                     const Epilogue& epilogue) const override {
    return dispatch(problem, [&]<class T>() {
      const Conv2DSizes s = conv2d_sizes(problem);
      const Tiles tiles(s, m_);
      const TransformedFilter<T> filter(*this, s, tiles, w, problem.kind == Problem::Kind::conv2d_transpose);
      if (!is_within_range(filter.magnitude())) return compute_direct(problem, image, w, epilogue);
      return WinogradRun<T>(problem, s, tiles, filter, image, w, epilogue).compute();
    });
  }

 protected:
  bool supports_sizes(const Problem& problem) const override { return winograd_supports(problem, precision()); }

 private:
  int m_;
};

}  // namespace

std::unique_ptr<Algorithm> make_winograd_f2(const AlgorithmKey& key) { return std::make_unique<Winograd>(key, 2); }
std::unique_ptr<Algorithm> make_winograd_f4(const AlgorithmKey& key) { return std::make_unique<Winograd>(key, 4); }

}  // namespace dygrad::native
