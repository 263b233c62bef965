#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>

#include <array>

#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/packing/workspace.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

// Note [Cache blocking]
// An MC block of positions and one panel of weights should stay in L2 (1 MiB or more on the machines this is for),
// while the MR x NR tile stays in registers. Deeper patches are cut along K; later K blocks accumulate onto what the
// earlier ones stored. See Goto and van de Geijn, 2008.
constexpr std::int64_t kBlockBytes = 512 << 10;
constexpr std::int64_t kDepth = 2048;           // KC: elements of a patch read in place
constexpr std::int64_t kKBlockBytes = 4 << 10;  // KC of a patch that is copied
constexpr std::int64_t kMaxTilesInBlock = 16;
constexpr std::int64_t kMaxPositionsInBlock = kMaxTilesInBlock * kMaxMr;

/// Rows of a tile a multiple of so many bytes apart map to the same few sets of L1.
constexpr std::int64_t kAliasingBytes = 4096;

/// Whether to work border region by border region, which skips the padding: not if it makes many small tiles.
bool regions_are_profitable(const ConvGeometry& geometry, const std::vector<BorderRegion>& regions,
                            std::int64_t chunks) {
  constexpr std::int64_t kRowsLost = 4;  // per region and chunk: tiles with fewer than MR rows, and their start
  std::int64_t work = 0;
  for (const BorderRegion& region : regions) {
    work += (geometry.batch * region.rows.size() * region.columns.size() + kRowsLost * chunks) * region.taps();
  }
  return work <= geometry.positions() * geometry.taps() + kRowsLost * chunks * geometry.taps();
}

/// The geometry cut along K into blocks of about `depth`: several row taps, one, or a single tap. One block without
/// taps if there are none, for the initial values.
std::vector<ConvGeometry> k_blocks_of(const ConvGeometry& geometry, std::int64_t depth) {
  std::vector<ConvGeometry> blocks;
  const auto row_taps = static_cast<std::int64_t>(geometry.row_taps.size());
  const auto row_depth = static_cast<std::int64_t>(geometry.column_taps.size()) * geometry.channels;
  if (row_depth <= depth || row_taps == 0) {
    const std::int64_t together = std::max<std::int64_t>(depth / std::max<std::int64_t>(row_depth, 1), 1);
    const std::int64_t count = std::max<std::int64_t>(ceil_div(row_taps, together), 1);
    for (std::int64_t i = 0; i < count; ++i) {
      const Range own = part_of({0, row_taps}, i, count);
      ConvGeometry block = geometry;
      block.row_taps.assign(geometry.row_taps.begin() + own.first, geometry.row_taps.begin() + own.last);
      blocks.push_back(std::move(block));
    }
    return blocks;
  }
  for (const std::int64_t row : geometry.row_taps) {
    for (const std::int64_t column : geometry.column_taps) {
      ConvGeometry block = geometry;
      block.row_taps = {row}, block.column_taps = {column};
      blocks.push_back(std::move(block));
    }
  }
  return blocks;
}

}  // namespace

template <class T>
ImplicitGemmPlan<T>::ImplicitGemmPlan(ConvGeometry geometry, std::int64_t chunks, bool weights_are_finite)
    : geometry_(std::move(geometry)), regions_(border_regions(geometry_)) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  constexpr std::int64_t kLine = 64 / kSize;
  packed_ = weights_are_finite && (geometry_.position_step() * kSize % kAliasingBytes == 0 ||
                                   !regions_are_profitable(geometry_, regions_, chunks));
  if (packed_) k_blocks_ = k_blocks_of(geometry_, kKBlockBytes / kSize);
  std::int64_t deepest = 0;
  for (const ConvGeometry& k_block : k_blocks_) deepest = std::max(deepest, k_block.depth());
  leading_dim_ = padded_leading_dim<T>(deepest + kLine);
  const std::int64_t read = packed_ ? leading_dim_ : geometry_.position_step() * geometry_.row_stride;
  const std::int64_t mr = kernels<T>().mr();
  block_ = std::clamp<std::int64_t>(kBlockBytes / (read * kSize) / mr, 1, kMaxTilesInBlock) * mr;
  if (packed_) {
    const auto row_taps = static_cast<std::int64_t>(geometry_.row_taps.size());
    const auto column_taps = static_cast<std::int64_t>(geometry_.column_taps.size());
    regions_ = {{{0, geometry_.rows}, {0, geometry_.columns}, {0, row_taps}, {0, column_taps}}};
  }
}

/// What a patch of a region consists of: contiguous segments of memory, all of the same depth, and the rows of the
/// weights that belong to them. K blocks of `per_block` segments are at most about kDepth deep.
template <class T>
struct ImplicitGemmPlan<T>::Segments {
  std::vector<std::int64_t> offsets, weight_rows;
  std::int64_t depth = 0, per_block = 1;

  Segments(const ConvGeometry& geometry, const BorderRegion& region) {
    const auto column_taps = static_cast<std::int64_t>(geometry.column_taps.size());
    const std::int64_t j_first = region.column_taps.first, width = region.column_taps.size();
    bool adjacent = geometry.channels == geometry.pixel_size;
    for (std::int64_t j = j_first + 1; j < j_first + width; ++j) {
      adjacent &= geometry.column_taps[j] == geometry.column_taps[j - 1] + 1;
    }
    adjacent &= width * geometry.channels <= kDepth;
    const std::int64_t together = adjacent ? std::max<std::int64_t>(width, 1) : 1;
    depth = together * geometry.channels;
    for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i) {
      for (std::int64_t j = j_first; j < j_first + width; j += together) {
        const std::int64_t weight_row = (i * column_taps + j) * geometry.channels;
        weight_rows.push_back(weight_row);
        offsets.push_back((geometry.row_taps[i] * geometry.image_columns + geometry.column_taps[j]) *
                          geometry.pixel_size);
      }
    }
    const std::int64_t k_blocks =
        std::clamp<std::int64_t>(ceil_div(count() * depth, kDepth), 1, std::max<std::int64_t>(count(), 1));
    per_block = std::max<std::int64_t>(1, ceil_div(count(), k_blocks));
  }
  std::int64_t count() const { return static_cast<std::int64_t>(offsets.size()); }
};

template <class T>
void ImplicitGemmPlan<T>::count(std::int64_t n, WorkCounts& counts) const {
  ++counts.geometries;
  for (const BorderRegion& region : regions_) {
    const Segments segments(geometry_, region);
    const std::int64_t positions = geometry_.batch * region.rows.size() * region.columns.size();
    const std::int64_t blocks = positions / block_, rest = positions % block_;
    const std::int64_t k_blocks = packed_ ? static_cast<std::int64_t>(k_blocks_.size())
                                          : std::max<std::int64_t>(ceil_div(segments.count(), segments.per_block), 1);
    const double depth = static_cast<double>(region.taps() * geometry_.channels) / static_cast<double>(k_blocks);
    const double before = counts.tiles;
    counts.add_tiles<T>(block_, n, depth, static_cast<double>(blocks * k_blocks));
    counts.add_tiles<T>(rest, n, depth, static_cast<double>(k_blocks));
    counts.positions += static_cast<double>(positions);
    if (packed_) {
      const bool adjacent = geometry_.channels == geometry_.pixel_size;
      counts.segment_copies +=
          static_cast<double>(positions) * static_cast<double>(adjacent ? region.row_taps.size() : region.taps());
      counts.copied_elements += static_cast<double>(positions * geometry_.depth());
    } else {
      counts.segments +=
          (counts.tiles - before) / static_cast<double>(k_blocks) * static_cast<double>(segments.count());
    }
  }
}

namespace {

/// A block of positions of one region: where its patches lie, and where its results go.
template <class T>
struct PositionBlock {
  std::array<const T*, kMaxPositionsInBlock + kMaxMr> sources;
  std::array<acc_t<T>*, kMaxPositionsInBlock + kMaxMr> rows;
  std::int64_t size = 0;

  /// The patches as rows of a matrix; null if they are read in place.
  struct PackedRows {
    const T* first;
    std::int64_t leading_dim, count;
  };

  /// A tile prefetches what the next one reads, also beyond the block: up to `last`, where positions end.
  void list(const ConvGeometry& geometry, const BorderRegion& region, Range block, std::int64_t last, const T* image,
            const PackedRows& packed, const OutputView<acc_t<T>>& output) {
    const std::int64_t columns = region.columns.size(), per_image = region.rows.size() * columns;
    std::int64_t n = block.first / per_image, a = region.rows.first + block.first % per_image / columns;
    std::int64_t b = region.columns.first + block.first % columns;
    size = block.size();
    for (std::int64_t i = 0; i < size + kMaxMr; ++i) {
      if (block.first + i == last) {
        std::fill(sources.begin() + i, sources.begin() + size + kMaxMr, sources[i - 1]);
        break;
      }
      rows[i] = output.data + n * output.image + a * output.row + b * output.column;
      sources[i] = packed.first ? packed.first + std::min(i, packed.count - 1) * packed.leading_dim
                                : image +
                                      ((n * geometry.image_rows + a * geometry.row_stride) * geometry.image_columns +
                                       b * geometry.column_stride) *
                                          geometry.pixel_size +
                                      geometry.first_channel;
      if (++b == region.columns.last) {
        b = region.columns.first;
        if (++a == region.rows.last) a = region.rows.first, ++n;
      }
    }
  }

  /// Some segments of the patches times these panels: one K block.
  void multiply(const Panels<T>& weights, Range panels, IgemmTile<T> tile, const acc_t<T>* init) {
    const Kernels<T>& kernel = kernels<T>();
    for (std::int64_t p = panels.first; p < panels.last; ++p) {
      const std::int64_t column = p * kernel.nr();
      for (std::int64_t i = 0; i < size; ++i) targets_[i] = rows[i] + column;
      tile.b = weights.panel(p);
      tile.ldb = weights.width_of(p);
      tile.target.columns = weights.columns_of(p);
      tile.target.init = init ? init + column : nullptr;
      for_each_tile<T>(size, [&](std::int64_t row, int variant) {
        tile.a = sources.data() + row;
        tile.target.rows = targets_.data() + row;
        kernel.igemm[weights.vectors_of(p) - 1][variant](tile);
      });
    }
  }

  void activate(const FusedActivation& activation, Range columns) {
    for (std::int64_t i = 0; i < size; ++i) targets_[i] = rows[i] + columns.first;
    kernel::activate(activation, targets_.data(), size, columns.size());
  }

 private:
  std::array<acc_t<T>*, kMaxPositionsInBlock + kMaxMr> targets_;
};

}  // namespace

template <class T>
void ImplicitGemmPlan<T>::convolve(const T* image, const Panels<T>& weights, const acc_t<T>* init,
                                   const OutputView<acc_t<T>>& output, Chunk chunk, T* workspace,
                                   const FusedActivation& activation) const {
  for (const BorderRegion& region : regions_) {
    convolve_region(region, image, weights, init, output, chunk, workspace, activation);
  }
}

template <class T>
void ImplicitGemmPlan<T>::convolve_region(const BorderRegion& region, const T* image, const Panels<T>& weights,
                                          const acc_t<T>* init, const OutputView<acc_t<T>>& output, Chunk chunk,
                                          T* workspace, const FusedActivation& activation) const {
  const std::int64_t nr = kernels<T>().nr();
  const Segments segments(geometry_, region);
  const std::int64_t positions = geometry_.batch * region.rows.size() * region.columns.size();
  const TilePartition own = partition_tiles<T>(positions, weights.count(), chunk);
  const Range columns{own.panels.first * nr, std::min(own.panels.last * nr, weights.n)};
  PositionBlock<T> block;
  for (std::int64_t first = own.positions.first; first < own.positions.last; first += block_) {
    const Range range{first, std::min(first + block_, own.positions.last)};
    block.list(geometry_, region, range, own.positions.last, image,
               {packed_ ? workspace : nullptr, leading_dim_, block_}, output);
    constexpr std::int64_t kStart = 0;
    IgemmTile<T> tile{.a = nullptr,
                      .b = nullptr,
                      .ldb = 0,
                      .a_offsets = &kStart,
                      .b_rows = nullptr,
                      .num_segments = 1,
                      .depth = 0,
                      .target = {nullptr, 0, false, nullptr}};
    if (packed_) {
      std::int64_t weight_row = 0;
      tile.b_rows = &weight_row;
      for (const ConvGeometry& k_block : k_blocks_) {
        pack_patches(k_block, image, range, workspace, leading_dim_);
        tile.depth = k_block.depth();
        tile.target.accumulate = weight_row > 0;
        block.multiply(weights, own.panels, tile, init);
        weight_row += k_block.depth();
      }
    } else {
      tile.depth = segments.depth;
      std::int64_t segment = 0;
      do {  // once even without any tap, for the initial values
        tile.a_offsets = segments.offsets.data() + segment;
        tile.b_rows = segments.weight_rows.data() + segment;
        tile.num_segments = std::min(segments.per_block, segments.count() - segment);
        tile.target.accumulate = segment > 0;
        block.multiply(weights, own.panels, tile, init);
        segment += segments.per_block;
      } while (segment < segments.count());
    }
    if (activation) block.activate(activation, columns);
  }
}

template class ImplicitGemmPlan<float>;
template class ImplicitGemmPlan<double>;
template class ImplicitGemmPlan<Bf16Pair>;

}  // namespace dygrad::native
