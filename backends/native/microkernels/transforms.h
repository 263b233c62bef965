// Convolutions with fewer products: the linear maps of Winograd's minimal filtering.
//
// Note [Winograd]
// Along one axis, pixels x[0, m) and taps w[0, t) contribute y = x * w, a product of two polynomials, to the outputs
// y[0, m + t - 1). Such a product is known from its values at m + t - 1 points: evaluate both there, multiply value by
// value, interpolate. With A and B the evaluations and C the interpolation,
//   y = C (A x . B w),   x' = A^T (C^T y . B w),   w' = B^T (A x . C^T y)
// are the transposed convolution and its two adjoints: the same six small matrices serve all three. In two dimensions
// they act on columns, then on rows. Tiles come in two sizes:
//   2 x 2 pixels, with two taps an axis in 9 products instead of 16, with three in 16 of 36. All entries are 0, 1, -1
//     or 1/2: whole numbers stay exact, and rounding errors stay close to those of a plain sum.
//   4 x 4 pixels, with two taps in 25 of 64, with three in 36 of 144. Errors are about four times those of a plain sum.
// In both, errors are relative to the largest numbers of a tile, not to each number.
//
// Sources: Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional
// neural networks", arXiv:1509.09308, 2015.
#pragma once

#include <cstdint>

namespace dygrad::native {

/// Most taps along one axis.
inline constexpr int kMostWinogradTaps = 3;
/// Most points of a tile.
inline constexpr int kMostPoints = 36;

/// Pixels of a tile along an axis.
enum class TileSize : std::uint8_t { two = 2, four = 4 };
inline constexpr int kTileSizes = 2;

/// Points along an axis, which are as many as outputs.
constexpr int points_for(TileSize pixels, int taps) { return static_cast<int>(pixels) + taps - 1; }

enum class Transform : std::uint8_t {
  x_to_points,  ///< A
  w_to_points,  ///< B, of whole tiles
  points_to_y,  ///< C
  points_to_x,  ///< A^T
  points_to_w,  ///< B^T, of whole tiles
  y_to_points,  ///< C^T
};
inline constexpr int kTransforms = 6;

/// Where the rows and columns of a tile lie: each is a stretch of numbers, all of equal length.
template <class T>
struct TileView {
  T* data;
  std::int64_t row_step, column_step;
  std::uint64_t outside = 0;  ///< bit row * columns + column: not there, which reads as 0 and is not written
};

/// One transform of a tile.
template <class T>
struct TransformTile {
  TileView<const T> in;
  TileView<T> out;
  std::int64_t count;       ///< numbers in a stretch
  std::int64_t ahead = 0;   ///< from what is read to what will be read next, whose memory is asked for in time
  const T* init = nullptr;  ///< what results start from, or null for 0
  std::uint64_t added = 0;  ///< bit row * columns + column: added to what is there, without init
};

}  // namespace dygrad::native
