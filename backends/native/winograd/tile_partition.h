// Which thread computes which tiles and columns of a Winograd convolution.
#pragma once

#include <algorithm>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/native/microkernels/kernels.h>

namespace dygrad::native {

// Note [Work partition of Winograd]
// A thread owns some tiles and some columns of the result. It transforms its tiles, and the filter where that is not
// kept: threads share whichever is more. Adjacent tiles of fwd add to the same outputs, so there whole images are
// distributed, and their tiles come in order: a result does not depend on the number of threads.
struct TilePartition2D {
  std::int64_t tile_parts = 1, panel_parts = 1;
  double balance = 1;  ///< mean over maximum of the work of threads

  template <class T>
  static TilePartition2D of(std::int64_t units, std::int64_t tiles_in_unit, std::int64_t panels, std::int64_t chunks,
                            bool keeps_weights) {
    constexpr std::int64_t kTransform = 6;  // multiply-adds that take as long as to transform an element
    const std::int64_t mr = kernels<T>().mr();
    const auto time = [&](std::int64_t a, std::int64_t b) {
      const std::int64_t tiles = ceil_div(units, a) * tiles_in_unit, n = ceil_div(panels, b) * kernels<T>().nr();
      return ceil_div(tiles, mr) * mr * n + kTransform * (tiles + (keeps_weights ? 0 : n));
    };
    TilePartition2D best;
    std::int64_t least = time(1, 1);
    for (std::int64_t a = 1; a <= std::min(chunks, units); ++a) {
      const std::int64_t b = std::min(chunks / a, panels);
      if (time(a, b) <= least) least = time(a, b), best = {a, b};
    }
    if (least > 0) best.balance = static_cast<double>(time(1, 1)) / static_cast<double>(chunks * least);
    return best;
  }
  std::int64_t chunks() const { return tile_parts * panel_parts; }
};

}  // namespace dygrad::native
