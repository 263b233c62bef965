// Arguments of the depthwise microkernels.
#pragma once

#include <cstdint>

namespace dygrad::native {

// Note [Row segments]
// A pixel of one image has a patch in the other: for every tap of the kernel that reaches both, the pixel it reaches. A
// segment is a set of pixels at a constant stride whose patches have the same taps. Their patches are at a constant
// stride too, so a few offsets address all of them:
//   pixel(p)[c]    = pixels[p * pixel_step + c]
//   patch(p, t)[c] = patches[p * patch_step + offset(t) + c]
//   weight(t)[c]   = weights[weight_offset(t) + c]
// Nothing is summed over channels, and processors multiply faster than they load, so loads are reused: a weight for a
// few pixels of the segment, whose accumulators stay in registers while t runs; and a pixel of the image for adjacent
// taps, those that are `patch_step` apart.

/// Taps t = 0, 1, ... whose patches begin at offset + t * patch_step, and whose weights at weight + t * weight_step.
struct AdjacentTaps {
  std::int64_t offset, weight, weight_step;
  int count;
};
inline constexpr int kMaxAdjacentTaps = 3;

struct RowSegment {
  const AdjacentTaps* taps;
  std::int64_t num_taps;  ///< groups of adjacent ones
  std::int64_t num_pixels, channels;
  std::int64_t pixel_step, patch_step;
};

}  // namespace dygrad::native
