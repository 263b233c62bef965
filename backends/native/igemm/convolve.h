// Patches times weights, tile by tile.
#pragma once

#include <dygrad/backends/native/igemm/patches.h>
#include <dygrad/backends/native/packing/panels.h>

namespace dygrad::native {

/// Where the sums of grid position (n, a, b) go: lanes of them, from data + n * image + a * row + b * column on.
template <class T>
struct Destination {
  T* data;
  std::int64_t image, row, column;
};

struct Steps;

/// One piece of `pieces` equal ones.
struct Piece {
  std::int64_t index, pieces;
};

/// How the patches of a grid are read, decided once for all threads.
template <class T>
class PatchPlan {
 public:
  /// Weights that are not finite must not meet the zeros of copied patches, see Note [Terms that are not there].
  PatchPlan(PatchGrid grid, std::int64_t pieces, bool weights_are_finite);

  const PatchGrid& grid() const { return grid_; }
  /// Elements of scratch memory that each piece needs.
  std::int64_t scratch_size() const { return packed_ ? block_ * step_ : 0; }

  /// Adds what one thread alone would do for sums of so many lanes.
  void count(std::int64_t lanes, Steps& steps) const;

  /// Writes activation(init + patch times weights) for one piece of the positions, or of the panels where positions are
  /// few. `init` has one number per lane, filled up to whole panels, or is null. The activation is applied to blocks of
  /// positions while they are in the cache.
  void convolve(const T* image, const Panels<T>& weights, const Sum<T>* init, const Destination<Sum<T>>& destination,
                Piece piece, T* scratch, const FusedActivation& activation = {}) const;

 private:
  struct Stretches;
  void convolve_region(const Region& region, const T* image, const Panels<T>& weights, const Sum<T>* init,
                       const Destination<Sum<T>>& destination, Piece piece, T* scratch,
                       const FusedActivation& activation) const;

  PatchGrid grid_;
  std::vector<Region> regions_;
  bool packed_;  ///< patches are copied together, as one region, part by part
  std::vector<PatchGrid> parts_;
  std::int64_t block_;  ///< positions whose patches are kept in the cache
  std::int64_t step_;   ///< elements from one packed patch to the next
};

/// Tiles of all heights over `rows` rows: calls f(first row, index of the height).
template <class T, class F>
void for_each_tile(std::int64_t rows, const F& f) {
  const Kernels<T>& kernel = kernels<T>();
  std::int64_t row = 0;
  for (int height = 0; height < kHeights; ++height) {
    for (; row + kernel.heights[height] <= rows; row += kernel.heights[height]) f(row, height);
  }
}

}  // namespace dygrad::native
