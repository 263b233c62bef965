// The integers of one transposed-convolution problem, read once from parameters and shapes, and the index algebra that
// every backend shares. For the .cpp files of backends/.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

/// x [n, c, h, w], weights [c, o / groups, kh, kw], y [n, o, oh, ow]; all other fields as in Conv2DParams.
struct Conv2DSizes {
  std::int64_t n, c, h, w;
  std::int64_t o, oh, ow;
  std::int64_t kh, kw;
  std::int64_t groups;
  std::int64_t sh, sw, ph, pw, dh, dw;

  std::int64_t channels_in_group() const { return c / groups; }
  std::int64_t filters_in_group() const { return o / groups; }
  std::int64_t taps() const { return kh * kw; }

  Shape x_shape() const { return {n, c, h, w}; }
  Shape w_shape() const { return {c, filters_in_group(), kh, kw}; }
  Shape y_shape() const { return {n, o, oh, ow}; }
  /// Some extent is 0, so that every sum is empty: the result is zeros, or has no elements at all.
  bool is_empty() const { return std::min({n, c, h, w, o, oh, ow, kh, kw}) == 0; }

  bool operator==(const Conv2DSizes&) const = default;
};

inline Conv2DSizes conv2d_sizes(const Conv2DParams& p, std::int64_t batch, const Shape& weights) {
  return {.n = batch,
          .c = weights[0],
          .h = p.input_extent[0],
          .w = p.input_extent[1],
          .o = weights[1] * p.groups,
          .oh = p.output_extent[0],
          .ow = p.output_extent[1],
          .kh = weights[2],
          .kw = weights[3],
          .groups = p.groups,
          .sh = p.stride[0],
          .sw = p.stride[1],
          .ph = p.padding[0],
          .pw = p.padding[1],
          .dh = p.dilation[0],
          .dw = p.dilation[1]};
}

/// The sizes of a problem; `problem` must be of the convolution family.
inline Conv2DSizes conv2d_sizes(const Problem& problem) { return conv2d_sizes(*problem.conv, problem.x[0], problem.w); }

/// Input positions h in [begin, end) whose target h * stride + shift lies inside the output.
struct TapRange {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t shift;
};

/// Rounds towards minus infinity, unlike `/`.
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

/// The reach of one kernel index along one axis, with shift = index * dilation - padding.
inline TapRange tap_range(std::int64_t input_extent, std::int64_t output_extent, std::int64_t stride,
                          std::int64_t shift) {
  const std::int64_t begin = std::clamp<std::int64_t>(ceil_div(-shift, stride), 0, input_extent);
  const std::int64_t end =
      std::clamp<std::int64_t>(floor_div(output_extent - 1 - shift, stride) + 1, begin, input_extent);
  return {begin, end, shift};
}
inline TapRange row_range(const Conv2DSizes& s, std::int64_t i) { return tap_range(s.h, s.oh, s.sh, i * s.dh - s.ph); }
inline TapRange column_range(const Conv2DSizes& s, std::int64_t j) {
  return tap_range(s.w, s.ow, s.sw, j * s.dw - s.pw);
}

/// Whether index arithmetic in 64 bits is safe: where taps far outside of an image lie, counted in its numbers. Only
/// the reference, which looks at no such tap, takes other problems.
inline bool fits_offsets(const Conv2DSizes& s) {
  constexpr double kMax = 0x1p60;
  const auto reach = [](std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                        std::int64_t padding, std::int64_t dilation) {
    const auto count = [](std::int64_t number) { return static_cast<double>(number); };
    return count(inputs) * count(stride) + count(kernel) * count(dilation) + count(padding) + count(outputs);
  };
  const double row = static_cast<double>(s.w + s.ow) * static_cast<double>(s.c + s.o) * static_cast<double>(s.taps());
  return reach(s.h, s.oh, s.kh, s.sh, s.ph, s.dh) * row < kMax && reach(s.w, s.ow, s.kw, s.sw, s.pw, s.dw) * row < kMax;
}

/// Part of all pairs of an input pixel and a tap whose target lies inside the output; long kernels are sampled.
inline double share_inside(const Conv2DSizes& s) {
  constexpr std::int64_t kMaxTaps = 4096;
  const auto share = [](std::int64_t inputs, std::int64_t kernel, const auto& range_of) {
    const std::int64_t step = (kernel - 1) / kMaxTaps + 1;
    std::int64_t inside = 0;
    for (std::int64_t i = 0; i < kernel; i += step) inside += range_of(i).end - range_of(i).begin;
    return std::pair{inside, inputs * ((kernel - 1) / step + 1)};
  };
  const auto [rows, all_rows] = share(s.h, s.kh, [&](std::int64_t i) { return row_range(s, i); });
  const auto [columns, all_columns] = share(s.w, s.kw, [&](std::int64_t j) { return column_range(s, j); });
  return static_cast<double>(rows * columns) / static_cast<double>(all_rows * all_columns);
}

}  // namespace dygrad
