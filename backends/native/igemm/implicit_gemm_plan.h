// Implicit GEMM: the patches of a geometry times weights, tile by tile, without an im2col buffer.
#pragma once

#include <dygrad/backends/native/igemm/conv_geometry.h>
#include <dygrad/backends/native/packing/panels.h>
#include <dygrad/backends/native/packing/partition.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

/// Where the result of position (n, a, b) lies: N elements from data + n * image + a * row + b * column on.
template <class T>
struct OutputView {
  T* data;
  std::int64_t image, row, column;
};

struct WorkCounts;

/// How the patches of a geometry are read, decided once for all threads.
template <class T>
class ImplicitGemmPlan {
 public:
  /// Weights that are not finite must not be multiplied by the zeros of copied patches, see Note [Padding zeros and
  /// non-finite values].
  ImplicitGemmPlan(ConvGeometry geometry, std::int64_t chunks, bool weights_are_finite);

  const ConvGeometry& geometry() const { return geometry_; }
  /// Elements of workspace that each chunk needs.
  std::int64_t workspace_size() const { return packed_ ? block_ * leading_dim_ : 0; }

  /// Adds what one thread alone would do for n columns of B.
  void count(std::int64_t n, WorkCounts& counts) const;

  /// Writes activation(init + patch times weights) for one chunk of the positions, or of the panels where positions are
  /// few. `init` has one element per column, padded to whole panels, or is null. The activation is applied to blocks of
  /// positions while they are in the cache.
  void convolve(const T* image, const Panels<T>& weights, const acc_t<T>* init, const OutputView<acc_t<T>>& output,
                Chunk chunk, T* workspace, const FusedActivation& activation = {}) const;

 private:
  struct Segments;
  void convolve_region(const BorderRegion& region, const T* image, const Panels<T>& weights, const acc_t<T>* init,
                       const OutputView<acc_t<T>>& output, Chunk chunk, T* workspace,
                       const FusedActivation& activation) const;

  ConvGeometry geometry_;
  std::vector<BorderRegion> regions_;
  bool packed_;  ///< patches are copied (im2row), as one region, K block by K block
  std::vector<ConvGeometry> k_blocks_;
  std::int64_t block_;        ///< positions whose patches are kept in the cache
  std::int64_t leading_dim_;  ///< elements from one packed patch to the next
};

/// Microkernel tiles over M = `rows`: calls f(first row, index of the MR variant).
template <class T, class F>
void for_each_tile(std::int64_t rows, const F& f) {
  const Kernels<T>& kernel = kernels<T>();
  std::int64_t row = 0;
  for (int variant = 0; variant < kNumMr; ++variant) {
    for (; row + kernel.mr_variants[variant] <= rows; row += kernel.mr_variants[variant]) f(row, variant);
  }
}

}  // namespace dygrad::native
