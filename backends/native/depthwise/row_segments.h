// The row segments that make up an image, see Note [Row segments] in depthwise_kernels.h. What depends on the sizes of
// the images alone is computed once; the segments of a part of a batch are then listed one by one.
#pragma once

#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/igemm/axis_taps.h>
#include <dygrad/backends/native/microkernels/depthwise_kernels.h>

namespace dygrad::native {

class RowSegments {
 public:
  /// Of fwd: pixels of y with patches of x. `weight_step` is from the weights of one tap to those of the next.
  static RowSegments of_output(const Conv2DSizes& s, std::int64_t weight_step);
  /// Of bwd_data and bwd_weights: pixels of x with patches of y.
  static RowSegments of_input(const Conv2DSizes& s, std::int64_t weight_step);
  RowSegments(const RowSegments&) = delete;  // its segments point into its taps
  RowSegments& operator=(const RowSegments&) = delete;

  std::int64_t rows() const { return pixels_.rows; }  ///< of one image
  std::int64_t row_size() const { return pixels_.columns * channels_; }

  /// Rows from `rows.first` on that are worth doing together, at most those of `rows`, which are counted through the
  /// batch: whole images, or rows of one image.
  Range block_of(Range rows, std::int64_t element_bytes) const;

  /// Segments with the same taps, `batch` times `down` of them, at constant strides from `pixels` and `patches` on.
  struct SegmentGrid {
    struct Axis {
      std::int64_t count, pixel_step, patch_step;
    };
    RowSegment segment;  ///< its taps are those of find_taps
    std::int64_t pixels, patches;
    Axis down, batch;
  };

  /// Calls f(segment, offset of its patches, offset of its pixels) for the segments in a block.
  template <class F>
  void for_each_segment(Range block, const F& f) const {
    std::vector<AdjacentTaps> taps;
    for (std::size_t i = 0; i < down_.size(); ++i) {
      for (std::size_t j = 0; j < right_.size(); ++j) {
        const SegmentGrid grid = segment_grid_of(block, i, j, taps);
        for (std::int64_t a = 0; a < grid.batch.count; ++a) {
          for (std::int64_t b = 0; b < grid.down.count; ++b) {
            f(grid.segment, grid.patches + a * grid.batch.patch_step + b * grid.down.patch_step,
              grid.pixels + a * grid.batch.pixel_step + b * grid.down.pixel_step);
          }
        }
      }
    }
  }

 private:
  struct Pair {
    std::int64_t rows, columns;
  };
  using MakeTaps = decltype(conv2d_transpose_taps);

  RowSegments(const Conv2DSizes& s, std::int64_t weight_step, Pair pixels, Pair others, Pair pixel_step,
              Pair patch_step, MakeTaps make_taps);
  /// Taps of an axis segment whose patches are one step apart.
  struct Group {
    std::int64_t input, kernel, kernel_step;
    int count;
  };
  static std::vector<Group> groups_of(const AxisSegment& segment, std::int64_t step);
  enum class Along { row, column, batch };
  /// Of the pixels where down_[down] and right_[right] meet.
  void find_taps(std::size_t down, std::size_t right, Along along, std::vector<AdjacentTaps>& taps) const;
  SegmentGrid segment_grid_of(Range block, std::size_t down, std::size_t right, std::vector<AdjacentTaps>& taps) const;

  std::int64_t channels_, kernel_columns_, weight_step_;
  Pair pixels_, others_;          ///< extents of one image
  Pair pixel_step_, patch_step_;  ///< from one pixel of a segment to the next, and from its patch to the next one's
  AxisTaps row_taps_, column_taps_;
  std::vector<AxisSegment> down_, right_;
  std::vector<std::vector<Group>> down_groups_, right_groups_;
};

}  // namespace dygrad::native
