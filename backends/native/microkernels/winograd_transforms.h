// The transforms of Winograd's minimal filtering, by the letters of Lavin and Gray.
//
// Note [Winograd]
// F(m, r) computes m outputs of a convolution with r taps g from m + r - 1 inputs d by as many multiplications:
//   A^T [(G g) . (B^T d)]
// with the input transform B^T d, the filter transform G g and the output transform A^T. An ordinary convolution is
// this with inputs y and outputs x; the transposed convolution and the gradient of the weights are its adjoints, which
// use the adjoints of the transforms:
//   bwd_data:     x = A^T [(G w) . (B^T y)]
//   fwd:          y = B [(G w) . (A x)]
//   bwd_weights:  w = G^T [(A x) . (B^T y)]
// Row p of A and G evaluates a polynomial at interpolation point p, and B interpolates: fwd is a product of
// polynomials, known from its values at m + r - 1 points. In two dimensions, F(m x m, r x r), the transforms act on
// columns, then on rows. r is 2 or 3, and m is
//   2, with 9 multiplications instead of 16 for r = 2, 16 of 36 for r = 3. All entries are 0, 1, -1 or 1/2: integers
//     stay exact, and rounding errors stay close to those of a plain sum.
//   4, with 25 of 64, or 36 of 144. Errors are about four times those of a plain sum.
// In both, errors are relative to the largest elements of a tile, not to each element.
//
// Sources: Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional
// neural networks", arXiv:1509.09308, 2015.
#pragma once

#include <cstdint>

namespace dygrad::native {

/// Most taps along one axis.
inline constexpr int kMaxWinogradR = 3;
/// Most points of a tile, (m + r - 1)^2.
inline constexpr int kMaxPoints = 36;
/// m is 2 or 4.
inline constexpr int kNumWinogradM = 2;

/// Points along an axis of F(m, r).
constexpr int points_for(int m, int r) { return m + r - 1; }

enum class Transform : std::uint8_t {
  output_adjoint,  ///< A
  filter,          ///< G, of whole tiles
  input_adjoint,   ///< B
  output,          ///< A^T
  filter_adjoint,  ///< G^T, of whole tiles
  input,           ///< B^T
};
inline constexpr int kNumTransforms = 6;

/// Where the rows and columns of a tile lie: at each of its places a contiguous segment, all of equal length.
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
  std::int64_t count;       ///< elements in a segment
  std::int64_t ahead = 0;   ///< from what is read to what will be read next, which is prefetched
  const T* init = nullptr;  ///< what results start from, or null for 0
  std::uint64_t added = 0;  ///< bit row * columns + column: added to what is there, without init
};

}  // namespace dygrad::native
