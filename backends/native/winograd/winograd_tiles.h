// The tiles of F(m x m, r x r) in a transposed convolution, and their transforms between images and matrices of points.
//
// Note [Tiles of a transposed convolution]
// Along an axis, input i and kernel index k meet in output o = i * stride + k * dilation - padding. Let g be the
// greatest common divisor of stride and dilation, stride = g * s, dilation = g * d. With k = j + s * t,
//   o + padding = g * (s * (i + d * t) + d * j):
// for each sub-kernel j in [0, s) inputs i and taps t make output blocks i + d * t. Inputs that are d apart and the
// taps of one sub-kernel are thus a transposed convolution of stride 1, and all sub-kernels share the inputs. A tile is
// m inputs that are d apart; it contributes to m + r - 1 blocks. Adjacent tiles overlap in y, and are added there.
#pragma once

#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/microkernels/kernels.h>

namespace dygrad::native {

/// One axis of a problem.
class TileAxis {
 public:
  TileAxis(int m, std::int64_t input_extent, std::int64_t output_extent, std::int64_t kernel, std::int64_t stride,
           std::int64_t dilation, std::int64_t padding);

  int m() const { return m_; }
  std::int64_t r() const { return r_; }  ///< taps of a sub-kernel; the kernel may end before the last ones
  int points() const { return points_for(m_, static_cast<int>(r_)); }
  std::int64_t subkernels() const { return subkernels_; }
  std::int64_t tiles() const { return static_cast<std::int64_t>(starts_.size()); }

  /// Where a tile's first pixel lies, and a sub-kernel's output of its first block, which may be outside. Further ones
  /// follow at equal steps.
  std::int64_t first_input(std::int64_t tile) const { return starts_[static_cast<std::size_t>(tile)]; }
  std::int64_t first_output(std::int64_t tile, std::int64_t subkernel) const {
    return common_ * (subkernels_ * first_input(tile) + step_ * subkernel) - padding_;
  }
  std::int64_t input_step() const { return step_; }
  std::int64_t output_step() const { return common_ * subkernels_ * step_; }
  /// Pixels of the tile that lie inside the input.
  int pixels_of(std::int64_t tile) const {
    return static_cast<int>(std::min<std::int64_t>(m(), ceil_div(input_extent_ - first_input(tile), step_)));
  }
  /// The tile has fewer pixels than others: it is 0 at the last point, infinity.
  bool is_cut(std::int64_t tile) const { return pixels_of(tile) < m(); }
  std::int64_t cut_tiles() const { return cut_tiles_; }
  /// Of all tiles, without those that are always 0.
  std::int64_t num_points() const { return tiles() * points() - cut_tiles_; }
  /// Bit b: pixel b of the tile lies outside.
  std::uint64_t pixels_outside(std::int64_t tile) const { return (1U << m()) - (1U << pixels_of(tile)); }
  /// Bit b: this sub-kernel's output of block b lies outside, or the tile's pixels do not reach it.
  std::uint64_t blocks_outside(std::int64_t tile, std::int64_t subkernel) const {
    return outside_[static_cast<std::size_t>(tile * subkernels_ + subkernel)];
  }
  /// Taps that this sub-kernel has in the kernel. The kernel index of tap t is subkernel + t * subkernels().
  std::int64_t taps_of(std::int64_t subkernel) const { return (kernel_ - subkernel + subkernels_ - 1) / subkernels_; }

  /// The tile's first blocks were reached by the tile before it.
  bool continues(std::int64_t tile) const { return first_input(tile) >= m() * step_; }
  /// The outputs of all sub-kernels of all blocks lie inside, side by side.
  bool is_whole(std::int64_t tile) const { return whole_[static_cast<std::size_t>(tile)]; }
  /// Every output belongs to a block of some tile.
  bool covers_output() const { return covers_; }

 private:
  int m_;
  std::int64_t input_extent_, kernel_, padding_;
  std::int64_t common_, subkernels_, step_, r_;
  std::vector<std::int64_t> starts_;
  std::int64_t cut_tiles_ = 0;
  std::vector<std::uint8_t> outside_;
  std::vector<bool> whole_;
  bool covers_;
};

/// Both axes of one problem. In the transform domain there is a matrix for each point, with a row per tile, in the
/// order of (image, row, column); for x a column per channel, for y a column per (row sub-kernel, column sub-kernel,
/// filter) of a group.
class Tiles {
 public:
  Tiles(const Conv2DSizes& s, int m);

  /// r is 2 or 3, the same along both axes.
  static bool suit(const Conv2DSizes& s);

  const TileAxis& rows() const { return rows_; }
  const TileAxis& columns() const { return columns_; }
  std::int64_t taps() const { return rows_.r() * columns_.r(); }
  int points() const { return rows_.points() * columns_.points(); }
  std::int64_t subkernels() const { return rows_.subkernels() * columns_.subkernels(); }
  std::int64_t per_image() const { return rows_.tiles() * columns_.tiles(); }
  std::int64_t count() const { return sizes_.n * per_image(); }
  std::int64_t channels() const { return sizes_.channels_in_group(); }
  std::int64_t y_columns() const { return subkernels() * sizes_.filters_in_group(); }
  /// Multiplications per channel and column of y, over all tiles and points.
  double num_multiplications() const {
    return static_cast<double>(sizes_.n) * static_cast<double>(rows_.num_points() * columns_.num_points());
  }
  /// Contiguous segments of y in which a block of a tile lies.
  std::int64_t segments() const { return rows_.subkernels() * (sizes_.groups == 1 ? 1 : columns_.subkernels()); }
  bool cover_output() const { return rows_.covers_output() && columns_.covers_output(); }

  template <class T>
  auto transform(Transform which) const {
    return kernels<T>().transform[static_cast<int>(which)][rows_.m() / 2 - 1][rows_.r() - 2];
  }

  /// Bit p: the point p of a tile cut by the border is always 0, in A x and in the result of bwd_data before A^T.
  std::uint64_t zero_points(std::int64_t row, std::int64_t column) const {
    return (rows_.is_cut(row) ? last_row_ : 0) | (columns_.is_cut(column) ? last_column_ : 0);
  }
  /// The tiles of a range where this point is not 0, counted from its beginning.
  void find_rows(Range tiles, int point, std::vector<std::int64_t>& rows) const;

  /// A block of rows of such matrices: that of point p and tile i of the block begins at data + (p * height + i) *
  /// step.
  template <class T>
  struct Matrix {
    T* data;
    std::int64_t height, step;
    T* row(std::int64_t point, std::int64_t i) const { return data + (point * height + i) * step; }
    /// The same without the first rows of each point.
    Matrix from(std::int64_t first) const { return {row(0, first), height, step}; }
  };

  /// A x of all channels of a group. Images are channels-last. `squares` gets an element for each tile, the sum of the
  /// squares of its pixels.
  template <class T>
  void transform_x(std::int64_t group, const T* x, Range tiles, const Matrix<T>& to, T* squares) const;
  /// B^T y of these columns; the matrix begins with the first of them.
  template <class T>
  void transform_y(std::int64_t group, const T* y, Range tiles, Range columns, const Matrix<T>& to, T* squares) const;
  /// x = init + A^T of these channels; init has an element per channel of the range, or is null.
  template <class T>
  void untransform_x(std::int64_t group, const Matrix<const T>& from, Range tiles, Range channels, const T* init,
                     T* x) const;
  /// y = B of these columns. Tiles of an image must come in order. With `added` all is added to what y holds; otherwise
  /// what no earlier tile has reached starts from init, an element per column of the range, or from 0 if null.
  template <class T>
  void untransform_y(std::int64_t group, const Matrix<const T>& from, Range tiles, Range columns, const T* init,
                     bool added, T* y) const;

 private:
  struct Place {
    std::int64_t n, row, column;
  };
  Place after(Place place) const;
  /// Where the channels of a tile's first pixel begin in x, and the filters of a sub-kernel in its first block in y.
  std::int64_t first_pixel(const Place& place) const;
  std::int64_t first_block(const Place& place, std::int64_t row_subkernel, std::int64_t column_subkernel) const;
  /// Calls f(index in the range, place) for tiles in order.
  template <class F>
  void for_each(Range tiles, const F& f) const;
  /// Calls f(column, count, view) for segments of columns that lie side by side in y.
  template <class T, class F>
  void for_each_segment(std::int64_t group, const Place& place, Range columns, T* y, const F& f) const;
  template <class T>
  TileView<T> pixels_of(std::int64_t group, const Place& place, T* x) const;
  template <class T>
  TileView<T> points_of(const Matrix<T>& matrix, std::int64_t tile) const {
    const std::int64_t step = matrix.height * matrix.step;
    return {matrix.row(0, tile), columns_.points() * step, step};
  }

  Conv2DSizes sizes_;
  TileAxis rows_, columns_;
  std::uint64_t last_row_ = 0, last_column_ = 0;  ///< bits of these points
};

}  // namespace dygrad::native
