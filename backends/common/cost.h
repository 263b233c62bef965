// What estimates of running time are made of. The numbers are nominal: they rank algorithms against each other on
// processors of today and predict none of them.
#pragma once

#include <algorithm>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/core/base/parallel.h>

namespace dygrad::cost {

inline constexpr double kFlopRate = 100e9;    ///< float32 FLOP a second, one thread
inline constexpr double kBandwidth = 12e9;    ///< bytes a second, one thread
inline constexpr double kThreadStart = 2e-6;  ///< seconds to hand work to other threads
inline constexpr double kReorders = 0.5;      ///< for each call, of weights: one while training, none while they stay

inline double flop_rate(DType dtype) { return dtype == DType::float64 ? kFlopRate / 2 : kFlopRate; }

/// Floating-point operations of one direction: two per multiply-add.
inline double flop(const Conv2DSizes& s) {
  return 2.0 * static_cast<double>(s.n * s.h * s.w) * static_cast<double>(s.c * s.filters_in_group() * s.taps());
}

/// Bytes of x, w and y, each once.
inline double bytes(const Conv2DSizes& s, DType dtype) {
  const std::int64_t numbers = num_elements(s.x_shape()) + num_elements(s.w_shape()) + num_elements(s.y_shape());
  return static_cast<double>(numbers) * static_cast<double>(size_of(dtype));
}

/// Part of the work in `count` that is not lost when it is done in whole vectors of `lanes`.
inline double lane_use(std::int64_t count, std::int64_t lanes) {
  return static_cast<double>(count) / static_cast<double>((count + lanes - 1) / lanes * lanes);
}

/// Seconds to do both, by so many threads.
inline double seconds(double compute_seconds, double memory_seconds, std::int64_t threads) {
  const double alone = std::max(compute_seconds, memory_seconds);
  return threads > 1 ? alone / static_cast<double>(threads) + kThreadStart : alone;
}

/// Seconds to do both, by all threads if it is worth it.
inline double seconds(double compute_seconds, double memory_seconds) {
  return std::min(seconds(compute_seconds, memory_seconds, 1), seconds(compute_seconds, memory_seconds, num_threads()));
}

}  // namespace dygrad::cost
