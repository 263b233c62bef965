// Which tiles are not for Winograd's transforms, and their direct convolution.
//
// Note [Dynamic range of tiles]
// A transform mixes all pixels of a tile, so its rounding errors are relative to the largest of them: beside one pixel
// of 1e8 the sums of its neighbours lose all digits, and one that is not finite spreads over the tile. The transforms
// therefore add up the squares of what they read. Where the root of such a sum is more than kRange times that of a
// typical pixel of the same image, the median of a few that are not 0, or where products might overflow, the tile is
// left out and computed by a direct convolution, as a small image of its own. Where weights are uneven, the whole
// problem is. bwd_weights sums over all images, so one bound holds for the product of a tile of x with its tile of y,
// and where a pair exceeds it, the whole is a direct convolution. Neither the number of threads nor the rest of the
// batch has any say in this, but for bwd_weights.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/native/winograd/winograd_tiles.h>

namespace dygrad::native {

inline constexpr double kRange = 1 << 9;           ///< of a tile against a typical pixel
inline constexpr double kWeightsRange = 1 << 10;   ///< of the largest weight against a typical one
inline constexpr double kGradientRange = 1 << 14;  ///< of a product of two tiles against one of typical pixels
/// More than transforms let numbers grow by, in all of a sum: (11^2)^2.
inline constexpr double kMaxGrowth = 1 << 14;

inline bool is_within_range(const Magnitude& weights) {
  return weights.is_finite() && weights.largest <= kWeightsRange * weights.typical;
}

/// Sums of squares at which no product of a tile with such weights, summed over so many, overflows.
template <class T>
double max_sum_of_squares(const Magnitude& weights, std::int64_t summed) {
  const double most = static_cast<double>(std::numeric_limits<T>::max());
  const double root = most / kMaxGrowth / std::max(weights.largest, 1.) / static_cast<double>(summed);
  return std::min(root * root, most / kMaxGrowth);
}

/// Pixels that are `step` elements apart.
template <class T>
struct PixelRange {
  const T* data;
  std::int64_t count, step, channels;

  /// Those of the first image, in one group.
  static PixelRange of_x(const Conv2DSizes& s, std::int64_t group, const Tensor& x) {
    const std::int64_t channels = s.channels_in_group();
    return {x.data<T>() + group * channels, s.h * s.w, s.c, channels};
  }
  static PixelRange of_y(const Conv2DSizes& s, std::int64_t group, const Tensor& y) {
    const std::int64_t channels = s.filters_in_group();
    return {y.data<T>() + group * channels, s.oh * s.ow, s.o, channels};
  }
  PixelRange image(std::int64_t n) const { return {data + n * count * step, count, step, channels}; }
  double typical_square() const {
    constexpr double kMedian = 0.5;
    return sampled_quantile(count, kMedian, [&](std::int64_t i) {
      double sum = 0;
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto value = static_cast<double>(data[i * step + c]);
        sum += value * value;
      }
      return sum;
    });
  }
};

/// Sums of squares below the least normal number have lost digits: such tiles count as 0.
template <class T>
double known_square(double square) {
  return square < static_cast<double>(std::numeric_limits<T>::min()) ? 0 : square;
}

/// Which tiles of one group are within the range of their image.
template <class T>
class TileLimits {
 public:
  TileLimits(const PixelRange<T>& first_image, std::int64_t tiles_per_image, double most)
      : first_image_(first_image), per_image_(tiles_per_image), most_(most) {}

  bool allow(std::int64_t tile, T squares) {
    if (const std::int64_t n = tile / per_image_; n != image_) {
      image_ = n;
      limit_ = std::min(known_square<T>(kRange * kRange * first_image_.image(n).typical_square()), most_);
    }
    return static_cast<double>(squares) <= limit_;  // false for what is not a number
  }

 private:
  PixelRange<T> first_image_;
  std::int64_t per_image_;
  double most_, limit_ = 0;
  std::int64_t image_ = -1;
};

/// Largest product of the roots of the sums of squares of a tile of x and one of y, where that many are added up.
/// Roots, because a product of squares overflows in float64.
template <class T>
double gradient_limit(double typical_x, double typical_y, std::int64_t tiles) {
  const auto root = [](double square) { return std::sqrt(known_square<T>(square)); };
  const double most = static_cast<double>(std::numeric_limits<T>::max()) / kMaxGrowth / static_cast<double>(tiles);
  return std::min(kGradientRange * root(typical_x) * root(typical_y), most);
}

struct OutlyingTile {
  std::int64_t group, tile;
};
using OutlyingTiles = std::vector<OutlyingTile>;
/// In one order, whoever found them.
OutlyingTiles joined(const std::vector<OutlyingTiles>& parts);

/// Adds what these tiles of x contribute to y.
void add_direct(const Problem& problem, const Tiles& tiles, const OutlyingTiles& outlying, const Tensor& x,
                const Tensor& w, const Tensor& y);
/// Writes these tiles of x, bias included.
void write_direct(const Problem& problem, const Tiles& tiles, const OutlyingTiles& outlying, const Tensor& y,
                  const Tensor& w, const Tensor& bias, const Tensor& x);

}  // namespace dygrad::native
