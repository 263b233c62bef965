// Measuring one call: the median of many samples, each long enough for the clock. Used by every benchmark, ours and
// peers'.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

namespace dygrad::bench {

/// How long to measure a call.
struct Effort {
  double seconds = 0.3;   ///< of samples, after the warm-up
  double warm_up = 0.03;  ///< seconds of calls that do not count: caches fill, threads wake
  int min_samples = 5;    ///< even if they take longer than `seconds`
};
inline constexpr Effort kQuick{.seconds = 0.005, .warm_up = 0, .min_samples = 3};

/// Seconds of one call.
struct Timing {
  double median = 0;
  double fastest = 0;
  double slow = 0;  ///< nine of ten samples were faster
  int samples = 0;
};

inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))];
}

/// Times call(); short ones several at once, so that a sample is never below 20 microseconds.
template <class F>
Timing measure(F&& call, const Effort& effort) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  call();
  const auto begin = Clock::now();
  int warm_ups = 0;
  do {
    call();
    ++warm_ups;
  } while (seconds_since(begin) < effort.warm_up);
  const double estimate = seconds_since(begin) / warm_ups;
  const int calls = std::max(1, static_cast<int>(std::ceil(20e-6 / estimate)));

  std::vector<double> samples;
  const auto start = Clock::now();
  while (samples.size() < static_cast<std::size_t>(effort.min_samples) || seconds_since(start) < effort.seconds) {
    const auto sample = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    samples.push_back(seconds_since(sample) / calls);
  }
  return {.median = quantile(samples, 0.5),
          .fastest = quantile(samples, 0),
          .slow = quantile(samples, 0.9),
          .samples = static_cast<int>(samples.size())};
}

inline double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return values.empty() ? 0 : std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace dygrad::bench
