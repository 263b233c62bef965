// The taps of each output index along one axis of an image: the same for all images, rows and columns of a problem, so
// they are listed once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <dygrad/backends/common/conv2d_sizes.h>

namespace dygrad::native {

/// For each output index along one axis: its taps, pairs of an input index and a kernel index.
struct AxisTaps {
  struct Tap {
    std::int64_t input, kernel;
  };
  std::vector<Tap> taps;
  std::vector<std::size_t> ends;  ///< of each output index's taps

  std::span<const Tap> of(std::int64_t index) const {
    const std::size_t first = index == 0 ? 0 : ends[index - 1];
    return std::span(taps).subspan(first, ends[index] - first);
  }
};

/// Output indices at a constant stride with the same kernel indices; all input indices have a constant stride too.
struct AxisSegment {
  std::int64_t first, count;
  std::span<const AxisTaps::Tap> taps;  ///< of the first
};

/// The segments of all indices, in which an output index is `step` more than the one before. `axis` must outlive them.
inline std::vector<AxisSegment> segments_of(const AxisTaps& axis, std::int64_t step) {
  const auto count = static_cast<std::int64_t>(axis.ends.size());
  std::vector<AxisSegment> segments;
  for (std::int64_t residue = 0; residue < std::min(step, count); ++residue) {
    for (std::int64_t index = residue; index < count; index += step) {
      const auto taps = axis.of(index);
      const bool goes_on = index > residue && std::ranges::equal(taps, segments.back().taps, {}, &AxisTaps::Tap::kernel,
                                                                 &AxisTaps::Tap::kernel);
      if (goes_on) ++segments.back().count;
      else segments.push_back({index, 1, taps});
    }
  }
  return segments;
}

/// Of the transposed convolution (fwd): output = input * stride + kernel * dilation - padding.
inline AxisTaps conv2d_transpose_taps(std::int64_t outputs, std::int64_t inputs, std::int64_t kernel,
                                      std::int64_t stride, std::int64_t padding, std::int64_t dilation) {
  AxisTaps axis;
  const auto for_each_tap = [&](const auto& f) {
    for (std::int64_t k = 0; k < kernel; ++k) {
      const TapRange range = tap_range(inputs, outputs, stride, k * dilation - padding);
      for (std::int64_t input = range.begin; input < range.end; ++input)
        f(static_cast<std::size_t>(input * stride + range.shift), AxisTaps::Tap{input, k});
    }
  };
  axis.ends.resize(static_cast<std::size_t>(outputs));
  std::size_t count = 0;
  for_each_tap([&](std::size_t output, const AxisTaps::Tap&) { ++axis.ends[output], ++count; });
  std::exclusive_scan(axis.ends.begin(), axis.ends.end(), axis.ends.begin(), std::size_t{0});  // where each one begins
  axis.taps.resize(count);
  for_each_tap([&](std::size_t output, const AxisTaps::Tap& tap) { axis.taps[axis.ends[output]++] = tap; });
  return axis;
}

/// Of the ordinary convolution (bwd_data), its adjoint: output and input change places.
inline AxisTaps conv2d_taps(std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                            std::int64_t padding, std::int64_t dilation) {
  AxisTaps axis;
  for (std::int64_t input = 0; input < inputs; ++input) {
    const TapRange range = tap_range(kernel, outputs, dilation, input * stride - padding);
    for (std::int64_t k = range.begin; k < range.end; ++k) axis.taps.push_back({k * dilation + range.shift, k});
    axis.ends.push_back(axis.taps.size());
  }
  return axis;
}

}  // namespace dygrad::native
