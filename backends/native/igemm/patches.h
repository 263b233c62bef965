// Patches: what each position of a grid reads from a channels-last image. Every algorithm of convolution here is a
// product of patches with weights (convolve.h) or with pixels (weights_gradient.cpp); they differ in the grid alone.
// Patches are read where they lie; only where that would be slow they are copied together first.
#pragma once

#include <cstdint>
#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>

namespace dygrad::native {

/// Position (n, a, b) reads, for every row tap i and column tap j, all channels of the image's pixel
///   (n, a * row_stride + row_taps[i], b * column_stride + column_taps[j])
/// in this order; a pixel outside the image is 0.
struct PatchGrid {
  std::int64_t batch, image_rows, image_columns;
  std::int64_t pixel_size;               ///< numbers from one pixel to the next
  std::int64_t first_channel, channels;  ///< those of one group
  std::int64_t rows, columns;            ///< of the grid
  std::int64_t row_stride, column_stride;
  std::vector<std::int64_t> row_taps, column_taps;

  std::int64_t positions() const { return batch * rows * columns; }
  std::int64_t taps() const { return static_cast<std::int64_t>(row_taps.size() * column_taps.size()); }
  /// Numbers in a patch.
  std::int64_t depth() const { return taps() * channels; }
  /// From one position to the next of its row.
  std::int64_t position_step() const { return column_stride * pixel_size; }
};

/// Positions of every image whose patches lie inside it as far as these taps go, and outside with all others.
struct Region {
  Range rows, columns, row_taps, column_taps;
  std::int64_t taps() const { return row_taps.size() * column_taps.size(); }
};
/// All positions, each in one region. Taps must be ascending. A small kernel makes nine: inside, edges, corners.
std::vector<Region> regions_of(const PatchGrid& grid);

/// The grid of x's positions over y: what the ordinary convolution, D's adjoint, reads.
PatchGrid patches_of_output(const Conv2DSizes& s, std::int64_t group);

/// The taps along one axis that touch outputs of one phase, in ascending order of the pixels they read: output index
/// q * stride + phase receives input index q + offset through a kernel index i where
/// offset * stride = phase + padding - i * dilation.
struct TapsOfPhase {
  std::vector<std::int64_t> offsets, kernel;
};
/// Of the first `phases` phases.
std::vector<TapsOfPhase> taps_of_phases(std::int64_t phases, std::int64_t kernel, std::int64_t stride,
                                        std::int64_t padding, std::int64_t dilation);

/// The grid of y's positions (oh, ow) = (row, column) modulo the stride over x: what the transposed convolution reads
/// there. `kernel_rows` and `kernel_columns` tell which kernel index each tap belongs to.
struct Phase {
  PatchGrid grid;
  std::vector<std::int64_t> kernel_rows, kernel_columns;
};
Phase phase_of_output(const Conv2DSizes& s, std::int64_t group, std::int64_t row, std::int64_t column,
                      const TapsOfPhase& down, const TapsOfPhase& right);

/// Copies the patches at some positions into rows of `out` that are `step` numbers apart, zeros included. A step must
/// leave 64 bytes free behind a patch, which may be overwritten.
template <class T>
void pack_patches(const PatchGrid& grid, const T* image, Range positions, T* out, std::int64_t step);

/// Calls f(i, n, row, column) for the positions of a region in `block`, counted through the batch; i from 0 on.
template <class F>
void for_each_position(const Region& region, Range block, const F& f) {
  const std::int64_t columns = region.columns.size(), per_image = region.rows.size() * columns;
  std::int64_t n = block.first / per_image, row = region.rows.first + block.first % per_image / columns;
  std::int64_t column = region.columns.first + block.first % columns;
  for (std::int64_t i = 0; i < block.size(); ++i) {
    f(i, n, row, column);
    if (++column < region.columns.last) continue;
    column = region.columns.first;
    if (++row == region.rows.last) row = region.rows.first, ++n;
  }
}

}  // namespace dygrad::native
