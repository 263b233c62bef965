// What the loops of depthwise.cpp run over. See Note [Runs of pixels].
#pragma once

#include <cstdint>

namespace dygrad::native {

// Note [Runs of pixels]
// A pixel of one image has a patch in the other: for every tap of the kernel that reaches both, the pixel it reaches.
// Pixels of an image that lie equally far apart, and whose patches have the same taps, are a run. Their patches lie
// equally far apart too, so a few offsets find all of them:
//   pixel(p)[c]    = pixels[p * pixel_step + c]
//   patch(p, t)[c] = patches[p * patch_step + offset(t) + c]
//   weight(t)[c]   = weights[weight_offset(t) + c]
// Nothing is summed over channels. Processors multiply faster than they load, so what is loaded is used several times:
// a weight for a few pixels of the run, which stay in registers while t runs; and where taps lie `patch_step` apart,
// which makes them neighbours, a number of the image for all of them.

/// Taps t = 0, 1, ... whose patches begin at offset + t * patch_step, and whose weights at weight + t * weight_step.
struct Neighbours {
  std::int64_t offset, weight, weight_step;
  int count;
};
inline constexpr int kMostNeighbours = 3;

struct PixelRun {
  const Neighbours* taps;
  std::int64_t num_taps;  ///< groups of neighbours
  std::int64_t num_pixels, channels;
  std::int64_t pixel_step, patch_step;
};

}  // namespace dygrad::native
