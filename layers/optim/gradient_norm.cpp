#include <dygrad/layers/optim/gradient_norm.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include <dygrad/core/parallel.h>

namespace dygrad::detail {

namespace {

constexpr std::int64_t kChunk = 4096;  // elements; fixed, so that threads do not change the rounding
constexpr std::size_t kLanes = 16;     // independent partial sums, which the compiler turns into vectors

template <class T>
double chunk_sum(const T* x, std::int64_t count) {
  std::array<double, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kLanes) <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double v = static_cast<double>(x[static_cast<std::size_t>(i) + lane]);
      lanes[lane] += v * v;
    }
  }
  for (; i < count; ++i) lanes[0] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::accumulate(lanes.begin(), lanes.end(), 0.0);
}

}  // namespace

double sum_of_squares(const Tensor& dense) {
  const std::int64_t count = dense.num_elements();
  std::vector<double> sums(static_cast<std::size_t>((count + kChunk - 1) / kChunk));
  dispatch_float(dense.dtype(), "gradient norm", [&]<class T>() {
    const T* x = dense.data<T>();
    parallel_for(static_cast<std::int64_t>(sums.size()), 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t chunk = begin; chunk < end; ++chunk) {
        const std::int64_t first = chunk * kChunk;
        sums[static_cast<std::size_t>(chunk)] = chunk_sum(x + first, std::min(kChunk, count - first));
      }
    });
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace dygrad::detail
