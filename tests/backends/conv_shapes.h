// Transposed convolutions worth computing: the list that backend tests and benchmarks share.
#pragma once

#include <cstdint>
#include <ostream>
#include <span>
#include <string_view>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad::testing {

/// One transposed convolution y of x and w. `extra` is added to the extent that symmetric padding gives, at the bottom
/// and right: positive for an output_size above the smallest, negative for more padding after the image than before it.
struct ConvShape {
  std::string_view name;
  std::int64_t n, cin, h, w, cout;
  std::int64_t kh, kw, sh, sw, ph, pw, dh, dw, groups, extra_h, extra_w;

  std::int64_t oh() const { return (h - 1) * sh - 2 * ph + dh * (kh - 1) + 1 + extra_h; }
  std::int64_t ow() const { return (w - 1) * sw - 2 * pw + dw * (kw - 1) + 1 + extra_w; }
  Shape x_shape() const { return {n, cin, h, w}; }
  Shape w_shape() const { return {cin, cout / groups, kh, kw}; }
  Shape y_shape() const { return {n, cout, oh(), ow()}; }
  Conv2DParams params() const {
    return {.stride = {sh, sw},
            .padding = {ph, pw},
            .dilation = {dh, dw},
            .groups = groups,
            .input_extent = {h, w},
            .output_extent = {oh(), ow()}};
  }
};

inline std::ostream& operator<<(std::ostream& out, const ConvShape& shape) { return out << shape.name; }

// clang-format off
inline constexpr ConvShape kSmallShapes[] = {
    // name                        n  cin  h   w  cout kh kw sh sw ph pw dh dw  g  eh  ew
    {"plain",                      2,  3,  5,  5,   6, 3, 3, 1, 1, 0, 0, 1, 1,  1, 0, 0},
    {"padding",                    2,  3,  5,  5,   6, 3, 3, 1, 1, 1, 1, 1, 1,  1, 0, 0},
    {"stride 2",                   2,  3,  5,  5,   6, 3, 3, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"stride 2, largest output",   2,  3,  5,  5,   6, 3, 3, 2, 2, 1, 1, 1, 1,  1, 1, 1},
    {"stride 3, largest output",   1,  4,  3,  4,   5, 3, 3, 3, 3, 0, 0, 1, 1,  1, 2, 2},
    {"stride 4, rows of bias",     1,  2,  3,  3,   2, 2, 2, 4, 4, 0, 0, 1, 1,  1, 3, 3},
    {"dilation 2",                 2,  3,  5,  5,   6, 3, 3, 1, 1, 1, 1, 2, 2,  1, 0, 0},
    {"stride 2, dilation 3",       2,  4,  5,  6,   5, 3, 3, 2, 2, 2, 2, 3, 3,  1, 1, 1},
    {"stride 3, dilation 2",       2,  4,  6,  5,   5, 3, 3, 3, 3, 1, 1, 2, 2,  1, 0, 2},
    {"kernel below stride",        2,  5,  4,  4,   3, 2, 2, 3, 3, 0, 0, 1, 1,  1, 0, 0},
    {"kernel equal to stride",     2,  8,  4,  5,   6, 2, 2, 2, 2, 0, 0, 1, 1,  1, 0, 0},
    {"kernel above stride",        2,  8,  4,  4,   4, 4, 4, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"everything asymmetric",      2,  3,  4,  6,   5, 2, 3, 3, 2, 1, 0, 2, 1,  1, 1, 1},
    {"asymmetric the other way",   3,  5,  6,  3,   2, 4, 1, 1, 3, 2, 0, 1, 2,  1, 0, 2},
    {"more padding at the end",    2,  3,  6,  6,   4, 4, 3, 2, 2, 0, 1, 1, 1,  1,-2,-1},
    {"more padding at the start",  2,  3,  6,  6,   4, 4, 3, 2, 2, 2, 1, 1, 1,  1, 1, 1},
    {"row kernel",                 1,  1,  2,  2,   1, 1, 3, 2, 1, 0, 1, 1, 1,  1, 0, 0},
    {"few filters, many channels", 2, 35,  6,  5,   2, 3, 3, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"few filters, many rows",     1,  3, 60, 37,   3, 5, 5, 2, 2, 2, 2, 1, 1,  1, 0, 1},
    {"long rows, dilation 3",      1,  2, 12, 37,  40, 5, 5, 2, 2, 3, 3, 3, 3,  1, 1, 0},
    {"groups",                     2,  4,  5,  5,   6, 3, 3, 2, 2, 1, 1, 1, 1,  2, 1, 0},
    {"groups of one filter",       2,  8,  4,  4,   4, 3, 3, 1, 1, 1, 1, 1, 1,  4, 0, 0},
    {"groups of one channel",      2,  4,  4,  4,   8, 3, 3, 2, 2, 1, 1, 1, 1,  4, 0, 1},
    {"groups, dilation",           1,  6,  5,  4,   9, 3, 2, 2, 1, 1, 1, 1, 3,  3, 0, 0},
    {"depthwise",                  2,  7,  5,  5,   7, 3, 3, 2, 2, 1, 1, 1, 1,  7, 1, 1},
    {"depthwise 16",               2, 16,  5,  5,  16, 4, 4, 2, 2, 1, 1, 1, 1, 16, 0, 0},
    {"depthwise 3, long rows",     1,  3,  4, 21,   3, 4, 4, 2, 2, 1, 1, 1, 1,  3, 0, 0},
    {"depthwise 17, long columns", 1, 17, 21,  3,  17, 5, 3, 1, 1, 2, 1, 1, 1, 17, 0, 0},
    {"depthwise 33, dilation",     2, 33, 12, 13,  33, 3, 3, 1, 1, 2, 2, 2, 2, 33, 0, 0},
    {"depthwise, s3, d2",          2,  9,  9, 14,   9, 4, 5, 3, 3, 2, 3, 2, 2,  9, 1, 2},
    {"depthwise, asymmetric",      2, 31,  7, 19,  31, 2, 7, 1, 2, 0, 3, 1, 1, 31, 0, 1},
    {"depthwise, more images",    11, 20,  3,  3,  20, 3, 3, 1, 1, 1, 1, 1, 1, 20, 0, 0},
    {"depthwise, 1x1 images",     10, 17,  1,  1,  17, 4, 4, 2, 2, 1, 1, 1, 1, 17, 0, 0},
    {"depthwise, large kernel",    2,  7,  2,  3,   7, 7, 7, 1, 1, 2, 2, 1, 1,  7, 0, 0},
    {"depthwise, rows of bias",    1, 19,  9,  9,  19, 2, 2, 4, 4, 0, 0, 1, 1, 19, 3, 3},
    {"depthwise, padding beyond",  2, 12, 15, 15,  12, 2, 2, 1, 1, 3, 2, 1, 1, 12, 1, 0},
    {"image of one pixel",         4, 10,  1,  1,   6, 4, 4, 1, 1, 0, 0, 1, 1,  1, 0, 0},
    {"image of one pixel, cropped",2, 10,  1,  1,   6, 4, 4, 2, 2, 1, 1, 1, 1,  1, 0, 1},
    {"1x1 kernel",                 2,  6,  5,  5,   4, 1, 1, 1, 1, 0, 0, 1, 1,  1, 0, 0},
    {"1x1 kernel, stride 2",       2,  6,  5,  5,   4, 1, 1, 2, 2, 0, 0, 1, 1,  1, 0, 0},
    {"1x1 kernel, stride 2, 1 ch", 2,  1,  4,  4,   1, 1, 1, 2, 2, 0, 0, 1, 1,  1, 1, 1},
    {"1x1 kernel, stride 2, 3 ch", 1,  3,  7,  6,  17, 1, 1, 2, 2, 0, 0, 1, 1,  1, 0, 0},
    {"1x1 kernel, stride 3, groups",2, 4,  4,  4,   6, 1, 1, 3, 3, 0, 0, 1, 1,  2, 2, 1},
    {"1x1 kernel, padding",        2,  3,  6,  6,   4, 1, 1, 2, 2, 1, 1, 1, 1,  1, 1, 0},
    {"padding beyond the kernel",  2,  3,  8,  8,   4, 2, 2, 1, 1, 3, 2, 1, 1,  1, 0, 0},
    {"stride 2, padding beyond",   1,  4,  7,  7,   3, 3, 3, 2, 2, 4, 5, 1, 1,  1, 1, 0},
    {"one channel",                3,  1,  6,  6,   1, 3, 3, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"odd channels",               2, 13,  5,  5,  11, 3, 3, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"17 channels to 15",          1, 17,  4,  6,  15, 4, 4, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"33 channels to 1",           2, 33,  4,  4,   1, 5, 5, 2, 2, 2, 2, 1, 1,  1, 1, 1},
    {"1 channel to 33",            2,  1,  4,  4,  33, 3, 3, 1, 1, 1, 1, 1, 1,  1, 0, 0},
    {"large kernel",               1,  3,  6,  5,   2, 9, 8, 3, 3, 4, 3, 1, 1,  1, 2, 0},
    {"kernel larger than image",   2,  2,  2,  2,  10,27,27, 1, 1, 0, 0, 1, 1,  1, 0, 0},
    {"output of one pixel",        2,  3,  3,  3,   4, 3, 3, 1, 1, 2, 2, 1, 1,  1, 0, 0},
    {"no images",                  0,  3,  5,  5,   6, 3, 3, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"wide row",                   1,  2,  1, 40,   3, 1, 5, 1, 2, 0, 2, 1, 1,  1, 0, 1},
};

/// Sizes that layers have, small enough for a test; the fast implementations must take them.
inline constexpr ConvShape kLayerShapes[] = {
    // name                        n  cin  h   w  cout kh kw sh sw ph pw dh dw  g  eh  ew
    {"generator 64 to 32",         4, 64,  8,  8,  32, 4, 4, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"generator 64 to 3",          4, 64, 16, 16,   3, 4, 4, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"generator from noise",       8,100,  1,  1,  64, 4, 4, 1, 1, 0, 0, 1, 1,  1, 0, 0},
    {"up-sampling k2 s2",          2, 64, 14, 14,  32, 2, 2, 2, 2, 0, 0, 1, 1,  1, 0, 0},
    {"dilated",                    2, 32, 16, 16,  32, 3, 3, 1, 1, 2, 2, 2, 2,  1, 0, 0},
    {"k3 s2, doubled",             2, 32, 14, 14,  16, 3, 3, 2, 2, 1, 1, 1, 1,  1, 1, 1},
    {"four groups",                2, 64, 16, 16,  64, 4, 4, 2, 2, 1, 1, 1, 1,  4, 0, 0},
    {"autoencoder 32 to 1",       16, 32, 14, 14,   1, 4, 4, 2, 2, 1, 1, 1, 1,  1, 0, 0},
    {"depthwise 64",               2, 64, 16, 16,  64, 4, 4, 2, 2, 1, 1, 1, 1, 64, 0, 0},
    {"21 classes k16 s8",          1, 21, 10, 10,  21,16,16, 8, 8, 0, 0, 1, 1,  1, 0, 0},
};
// clang-format on

}  // namespace dygrad::testing
