// The geometry of a convolution seen as a GEMM: which pixels of a channels-last image each position (a row of the
// implicit im2row matrix) reads. Every algorithm of convolution here multiplies such patches by weights
// (implicit_gemm_plan.h) or by pixels (implicit_gemm_weights.cpp); they differ in the geometry alone. Patches are read
// in place, through pointers; only where that would be slow they are copied (im2row) first.
#pragma once

#include <cstdint>
#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>

namespace dygrad::native {

/// Position (n, a, b) reads, for every row tap i and column tap j, all channels of the image's pixel
///   (n, a * row_stride + row_taps[i], b * column_stride + column_taps[j])
/// in this order; a pixel outside the image is 0.
struct ConvGeometry {
  std::int64_t batch, image_rows, image_columns;
  std::int64_t pixel_size;               ///< elements from one pixel to the next
  std::int64_t first_channel, channels;  ///< those of one group
  std::int64_t rows, columns;            ///< of positions
  std::int64_t row_stride, column_stride;
  std::vector<std::int64_t> row_taps, column_taps;

  /// M of the GEMM.
  std::int64_t positions() const { return batch * rows * columns; }
  std::int64_t taps() const { return static_cast<std::int64_t>(row_taps.size() * column_taps.size()); }
  /// K of the GEMM: elements in a patch.
  std::int64_t depth() const { return taps() * channels; }
  /// From one position to the next of its row.
  std::int64_t position_step() const { return column_stride * pixel_size; }
};

/// Positions of every image for which these taps lie inside the image, and all others in its padding.
struct BorderRegion {
  Range rows, columns, row_taps, column_taps;
  std::int64_t taps() const { return row_taps.size() * column_taps.size(); }
};
/// All positions, each in one region. Taps must be ascending. A small kernel makes nine: interior, edges, corners.
std::vector<BorderRegion> border_regions(const ConvGeometry& geometry);

/// Positions of x over y: what the ordinary convolution (bwd_data) and bwd_weights read.
ConvGeometry conv2d_geometry(const Conv2DSizes& s, std::int64_t group);

/// The taps along one axis of a sub-kernel, those that reach outputs of one residue modulo the stride, in ascending
/// order of the pixels they read: output q * stride + residue receives input q + offset through a kernel index i where
/// offset * stride = residue + padding - i * dilation.
struct SubkernelTaps {
  std::vector<std::int64_t> offsets, kernel;
};
/// Of the first `residues` residues.
std::vector<SubkernelTaps> subkernel_taps(std::int64_t residues, std::int64_t kernel, std::int64_t stride,
                                          std::int64_t padding, std::int64_t dilation);

/// The subconvolution of a transposed convolution that makes the outputs (oh, ow) = (row, column) modulo the stride: an
/// ordinary convolution of x, of stride 1, with a sub-kernel. `kernel_rows` and `kernel_columns` are the kernel indices
/// of its taps.
struct Subconvolution {
  ConvGeometry geometry;
  std::vector<std::int64_t> kernel_rows, kernel_columns;
};
Subconvolution subconvolution_of(const Conv2DSizes& s, std::int64_t group, std::int64_t row, std::int64_t column,
                                 const SubkernelTaps& down, const SubkernelTaps& right);

/// im2row: copies the patches at some positions into rows of `out`, `leading_dim` elements apart, padding as zeros.
/// Behind each patch 64 bytes must be free, which may be overwritten.
template <class T>
void pack_patches(const ConvGeometry& geometry, const T* image, Range positions, T* out, std::int64_t leading_dim);

/// Calls f(i, n, row, column) for the positions of a region in `block`, counted through the batch; i from 0 on.
template <class F>
void for_each_position(const BorderRegion& region, Range block, const F& f) {
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
