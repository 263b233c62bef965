#include <dygrad/backends/native/igemm/convolve.h>

#include <array>

#include <dygrad/backends/native/igemm/steps.h>
#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/core/kernels/activate.h>

namespace dygrad::native {

namespace {

// Note [Cache blocking]
// What a block of positions reads and one panel of weights should stay in the second-level cache (1 MiB or more on the
// machines this is for), while the tile stays in registers. Deeper patches are cut; later parts accumulate onto what
// the earlier ones stored.
constexpr std::int64_t kBlockBytes = 512 << 10;
constexpr std::int64_t kDepth = 2048;         // numbers of a patch read in place
constexpr std::int64_t kPartBytes = 4 << 10;  // of a patch that is copied
constexpr std::int64_t kMostTilesInBlock = 16;
constexpr std::int64_t kMostPositionsInBlock = kMostTilesInBlock * kMaxRows;

/// Rows of a tile this many bytes apart, or a multiple, fall onto the same few sets of the first-level cache.
constexpr std::int64_t kAliasingBytes = 4096;

/// Whether to work region by region, which skips what lies outside the image: not if it makes many small tiles.
bool regions_pay(const PatchGrid& grid, const std::vector<Region>& regions, std::int64_t pieces) {
  constexpr std::int64_t kRowsLost = 4;  // per region and piece: tiles less than full, and their start
  std::int64_t work = 0;
  for (const Region& region : regions) {
    work += (grid.batch * region.rows.size() * region.columns.size() + kRowsLost * pieces) * region.taps();
  }
  return work <= grid.positions() * grid.taps() + kRowsLost * pieces * grid.taps();
}

/// The grid cut into parts of about so many numbers: several row taps, one, or a single tap. One part without taps if
/// there are none, for the initial values.
std::vector<PatchGrid> parts_of(const PatchGrid& grid, std::int64_t depth) {
  std::vector<PatchGrid> parts;
  const auto row_taps = static_cast<std::int64_t>(grid.row_taps.size());
  const auto row_depth = static_cast<std::int64_t>(grid.column_taps.size()) * grid.channels;
  if (row_depth <= depth || row_taps == 0) {
    const std::int64_t together = std::max<std::int64_t>(depth / std::max<std::int64_t>(row_depth, 1), 1);
    const std::int64_t count = std::max<std::int64_t>(ceil_div(row_taps, together), 1);
    for (std::int64_t i = 0; i < count; ++i) {
      const Range own = part_of({0, row_taps}, i, count);
      PatchGrid part = grid;
      part.row_taps.assign(grid.row_taps.begin() + own.first, grid.row_taps.begin() + own.last);
      parts.push_back(std::move(part));
    }
    return parts;
  }
  for (const std::int64_t row : grid.row_taps) {
    for (const std::int64_t column : grid.column_taps) {
      PatchGrid part = grid;
      part.row_taps = {row}, part.column_taps = {column};
      parts.push_back(std::move(part));
    }
  }
  return parts;
}

}  // namespace

template <class T>
PatchPlan<T>::PatchPlan(PatchGrid grid, std::int64_t pieces, bool weights_are_finite)
    : grid_(std::move(grid)), regions_(regions_of(grid_)) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  constexpr std::int64_t kLine = 64 / kSize;
  packed_ = weights_are_finite &&
            (grid_.position_step() * kSize % kAliasingBytes == 0 || !regions_pay(grid_, regions_, pieces));
  if (packed_) parts_ = parts_of(grid_, kPartBytes / kSize);
  std::int64_t deepest = 0;
  for (const PatchGrid& part : parts_) deepest = std::max(deepest, part.depth());
  step_ = odd_lines<T>(deepest + kLine);
  const std::int64_t read = packed_ ? step_ : grid_.position_step() * grid_.row_stride;
  const std::int64_t height = kernels<T>().rows();
  block_ = std::clamp<std::int64_t>(kBlockBytes / (read * kSize) / height, 1, kMostTilesInBlock) * height;
  if (packed_) {
    const auto row_taps = static_cast<std::int64_t>(grid_.row_taps.size());
    const auto column_taps = static_cast<std::int64_t>(grid_.column_taps.size());
    regions_ = {{{0, grid_.rows}, {0, grid_.columns}, {0, row_taps}, {0, column_taps}}};
  }
}

/// What a patch of a region consists of: stretches of memory, all of the same depth, and the rows of the weights that
/// belong to them. In parts of which each is at most about kDepth deep.
template <class T>
struct PatchPlan<T>::Stretches {
  std::vector<std::int64_t> offsets, weight_rows;
  std::int64_t depth = 0, per_part = 1;

  Stretches(const PatchGrid& grid, const Region& region) {
    const auto column_taps = static_cast<std::int64_t>(grid.column_taps.size());
    const std::int64_t j_first = region.column_taps.first, width = region.column_taps.size();
    bool adjacent = grid.channels == grid.pixel_size;
    for (std::int64_t j = j_first + 1; j < j_first + width; ++j) {
      adjacent &= grid.column_taps[j] == grid.column_taps[j - 1] + 1;
    }
    adjacent &= width * grid.channels <= kDepth;
    const std::int64_t together = adjacent ? std::max<std::int64_t>(width, 1) : 1;
    depth = together * grid.channels;
    for (std::int64_t i = region.row_taps.first; i < region.row_taps.last; ++i) {
      for (std::int64_t j = j_first; j < j_first + width; j += together) {
        const std::int64_t weight_row = (i * column_taps + j) * grid.channels;
        weight_rows.push_back(weight_row);
        offsets.push_back((grid.row_taps[i] * grid.image_columns + grid.column_taps[j]) * grid.pixel_size);
      }
    }
    const std::int64_t parts =
        std::clamp<std::int64_t>(ceil_div(count() * depth, kDepth), 1, std::max<std::int64_t>(count(), 1));
    per_part = std::max<std::int64_t>(1, ceil_div(count(), parts));
  }
  std::int64_t count() const { return static_cast<std::int64_t>(offsets.size()); }
};

template <class T>
void PatchPlan<T>::count(std::int64_t lanes, Steps& steps) const {
  ++steps.plans;
  for (const Region& region : regions_) {
    const Stretches stretches(grid_, region);
    const std::int64_t positions = grid_.batch * region.rows.size() * region.columns.size();
    const std::int64_t blocks = positions / block_, rest = positions % block_;
    const std::int64_t parts = packed_ ? static_cast<std::int64_t>(parts_.size())
                                       : std::max<std::int64_t>(ceil_div(stretches.count(), stretches.per_part), 1);
    const double depth = static_cast<double>(region.taps() * grid_.channels) / static_cast<double>(parts);
    const double before = steps.tiles;
    steps.add_tiles<T>(block_, lanes, depth, static_cast<double>(blocks * parts));
    steps.add_tiles<T>(rest, lanes, depth, static_cast<double>(parts));
    steps.positions += static_cast<double>(positions);
    if (packed_) {
      const bool adjacent = grid_.channels == grid_.pixel_size;
      steps.copies +=
          static_cast<double>(positions) * static_cast<double>(adjacent ? region.row_taps.size() : region.taps());
      steps.copied += static_cast<double>(positions * grid_.depth());
    } else {
      steps.stretches += (steps.tiles - before) / static_cast<double>(parts) * static_cast<double>(stretches.count());
    }
  }
}

template <class T>
void PatchPlan<T>::convolve(const T* image, const Panels<T>& weights, const Sum<T>* init,
                            const Destination<Sum<T>>& destination, Piece piece, T* scratch,
                            const FusedActivation& activation) const {
  for (const Region& region : regions_) {
    convolve_region(region, image, weights, init, destination, piece, scratch, activation);
  }
}

template <class T>
void PatchPlan<T>::convolve_region(const Region& region, const T* image, const Panels<T>& weights, const Sum<T>* init,
                                   const Destination<Sum<T>>& destination, Piece piece, T* scratch,
                                   const FusedActivation& activation) const {
  const Kernels<T>& kernel = kernels<T>();
  const Stretches stretches(grid_, region);
  const std::int64_t columns = region.columns.size(), per_image = region.rows.size() * columns;
  const Share share = share_of<T>(grid_.batch * per_image, weights.count(), piece.index, piece.pieces);
  std::array<const T*, kMostPositionsInBlock + kMaxRows> sources;
  std::array<Sum<T>*, kMostPositionsInBlock + kMaxRows> rows, targets;
  Range block{};
  // Some stretches of the block's patches times all panels.
  const auto multiply = [&](const std::int64_t* offsets, const std::int64_t* weight_rows, std::int64_t segments,
                            std::int64_t depth, bool accumulate) {
    for (std::int64_t p = share.panels.first; p < share.panels.last; ++p) {
      const std::int64_t lane = p * kernel.panel();
      for (std::int64_t i = 0; i < block.size(); ++i) targets[i] = rows[i] + lane;
      ProductTile<T> tile{.a = nullptr,
                          .b = weights.panel(p),
                          .b_step = weights.width_of(p),
                          .a_offsets = offsets,
                          .b_rows = weight_rows,
                          .segments = segments,
                          .depth = depth,
                          .target = {nullptr, weights.lanes_of(p), accumulate, init ? init + lane : nullptr}};
      for_each_tile<T>(block.size(), [&](std::int64_t row, int height) {
        tile.a = sources.data() + row;
        tile.target.rows = targets.data() + row;
        kernel.product[weights.vectors_of(p) - 1][height](tile);
      });
    }
  };
  for (std::int64_t first = share.positions.first; first < share.positions.last; first += block_) {
    block = {first, std::min(first + block_, share.positions.last)};
    std::int64_t n = first / per_image, a = region.rows.first + first % per_image / columns;
    std::int64_t b = region.columns.first + first % columns;
    // A tile asks for what the next one reads, also beyond the block.
    for (std::int64_t i = 0; i < block.size() + kMaxRows; ++i) {
      if (first + i == share.positions.last) {
        std::fill(sources.begin() + i, sources.begin() + block.size() + kMaxRows, sources[i - 1]);
        break;
      }
      rows[i] = destination.data + n * destination.image + a * destination.row + b * destination.column;
      sources[i] =
          packed_
              ? scratch + std::min(i, block_ - 1) * step_
              : image +
                    ((n * grid_.image_rows + a * grid_.row_stride) * grid_.image_columns + b * grid_.column_stride) *
                        grid_.pixel_size +
                    grid_.first_channel;
      if (++b == region.columns.last) {
        b = region.columns.first;
        if (++a == region.rows.last) a = region.rows.first, ++n;
      }
    }
    if (packed_) {
      std::int64_t weight_row = 0;
      constexpr std::int64_t kStart = 0;
      for (const PatchGrid& part : parts_) {
        pack_patches(part, image, block, scratch, step_);
        multiply(&kStart, &weight_row, 1, part.depth(), weight_row > 0);
        weight_row += part.depth();
      }
    } else {
      std::int64_t stretch = 0;
      do {  // once even without any tap, for the initial values
        multiply(stretches.offsets.data() + stretch, stretches.weight_rows.data() + stretch,
                 std::min(stretches.per_part, stretches.count() - stretch), stretches.depth, stretch > 0);
        stretch += stretches.per_part;
      } while (stretch < stretches.count());
    }
    if (activation) {
      const std::int64_t first_lane = share.panels.first * kernel.panel();
      const std::int64_t last_lane = std::min(share.panels.last * kernel.panel(), weights.lanes);
      for (std::int64_t i = 0; i < block.size(); ++i) targets[i] = rows[i] + first_lane;
      kernel::activate(activation, targets.data(), block.size(), last_lane - first_lane);
    }
  }
}

template class PatchPlan<float>;
template class PatchPlan<double>;
template class PatchPlan<Bf16Pair>;

}  // namespace dygrad::native
