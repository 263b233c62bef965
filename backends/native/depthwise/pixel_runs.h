// Which runs of pixels make up an image, see Note [Runs of pixels] in depthwise.h. What depends on the sizes of the
// images alone is found once; runs of a part of a batch are then named one by one.
#pragma once

#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/igemm/axis_terms.h>
#include <dygrad/backends/native/microkernels/depthwise_kernels.h>

namespace dygrad::native {

class PixelRuns {
 public:
  /// D's: pixels of y with patches of x. Weights of one tap lie `weight_step` numbers after those of the one before.
  static PixelRuns of_output(const Conv2DSizes& s, std::int64_t weight_step);
  /// B's and W's: pixels of x with patches of y.
  static PixelRuns of_input(const Conv2DSizes& s, std::int64_t weight_step);
  PixelRuns(const PixelRuns&) = delete;  // its runs point into its terms
  PixelRuns& operator=(const PixelRuns&) = delete;

  std::int64_t rows() const { return pixels_.rows; }  ///< of one image
  std::int64_t row_size() const { return pixels_.columns * channels_; }

  /// Rows from `rows.first` on that are worth doing together, at most those of `rows`, which are counted through the
  /// batch: whole images, or rows of one image.
  Range block_of(Range rows, std::int64_t bytes_of_number) const;

  /// A lattice of pixels that have the same taps: runs from `pixels` and `patches` on, `batch` times `down` of them.
  struct Lattice {
    struct Axis {
      std::int64_t count, pixel_step, patch_step;
    };
    PixelRun run;  ///< its taps are those of find_taps
    std::int64_t pixels, patches;
    Axis down, batch;
  };

  /// Calls f(run, patches, pixels) for the runs in a block; with the numbers in front of the run in both images.
  template <class F>
  void for_each_run(Range block, const F& f) const {
    std::vector<Neighbours> taps;
    for (std::size_t i = 0; i < down_.size(); ++i) {
      for (std::size_t j = 0; j < right_.size(); ++j) {
        const Lattice lattice = lattice_of(block, i, j, taps);
        for (std::int64_t a = 0; a < lattice.batch.count; ++a) {
          for (std::int64_t b = 0; b < lattice.down.count; ++b) {
            f(lattice.run, lattice.patches + a * lattice.batch.patch_step + b * lattice.down.patch_step,
              lattice.pixels + a * lattice.batch.pixel_step + b * lattice.down.pixel_step);
          }
        }
      }
    }
  }

 private:
  struct Pair {
    std::int64_t rows, columns;
  };
  using Terms = decltype(transposed_terms);

  PixelRuns(const Conv2DSizes& s, std::int64_t weight_step, Pair pixels, Pair others, Pair pixel_step, Pair patch_step,
            Terms terms_of);
  /// Terms of an axis run whose patches lie one step apart.
  struct Group {
    std::int64_t operand, kernel, kernel_step;
    int count;
  };
  static std::vector<Group> groups_of(const AxisRun& run, std::int64_t step);
  enum class Along { row, column, batch };
  /// Of the pixels where down_[down] and right_[right] meet.
  void find_taps(std::size_t down, std::size_t right, Along along, std::vector<Neighbours>& taps) const;
  Lattice lattice_of(Range block, std::size_t down, std::size_t right, std::vector<Neighbours>& taps) const;

  std::int64_t channels_, kernel_columns_, weight_step_;
  Pair pixels_, others_;          ///< extents of one image
  Pair pixel_step_, patch_step_;  ///< from one pixel of a run to the next, and from its patch to the next one's
  AxisTerms down_terms_, right_terms_;
  std::vector<AxisRun> down_, right_;
  std::vector<std::vector<Group>> down_groups_, right_groups_;
};

}  // namespace dygrad::native
