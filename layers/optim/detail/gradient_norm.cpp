#include <dygrad/layers/optim/detail/gradient_norm.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include <dygrad/core/base/parallel.h>

namespace dygrad::detail {

namespace {

constexpr std::int64_t kChunk = 4096;  // elements; fixed, so that threads do not change the rounding
constexpr std::size_t kLanes = 16;     // independent partial sums, which the compiler turns into vectors

/// Of the squares of scale * x[i], in a chunk.
template <class T>
double chunk_sum(const T* x, std::int64_t count, double scale) {
  std::array<double, kLanes> lanes{};
  std::int64_t i = 0;
  for (; i + static_cast<std::int64_t>(kLanes) <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double v = scale * static_cast<double>(x[static_cast<std::size_t>(i) + lane]);
      lanes[lane] += v * v;
    }
  }
  for (; i < count; ++i) {
    const double v = scale * static_cast<double>(x[i]);
    lanes[0] += v * v;
  }
  return std::accumulate(lanes.begin(), lanes.end(), 0.0);
}

/// NaN propagates.
template <class T>
double chunk_largest(const T* x, std::int64_t count) {
  T largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const T size = std::abs(x[i]);
    largest = size > largest || size != size ? size : largest;
  }
  return static_cast<double>(largest);
}

double pairwise_sum(std::span<const double> terms) {
  if (terms.size() <= 8) return std::accumulate(terms.begin(), terms.end(), 0.0);
  const std::size_t half = terms.size() / 2;
  return pairwise_sum(terms.first(half)) + pairwise_sum(terms.subspan(half));
}

/// f(first element, count) of each chunk of each tensor.
template <class F>
std::vector<double> of_chunks(std::span<const Tensor> tensors, const F& f) {
  std::vector<double> results;
  for (const Tensor& dense : tensors) {
    const std::int64_t count = dense.num_elements(), chunks = (count + kChunk - 1) / kChunk;
    const std::size_t before = results.size();
    results.resize(before + static_cast<std::size_t>(chunks));
    dispatch_float(dense.dtype(), "gradient norm", [&]<class T>() {
      const T* x = dense.data<T>();
      parallel_for(chunks, 8, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t chunk = begin; chunk < end; ++chunk) {
          const std::int64_t first = chunk * kChunk;
          results[before + static_cast<std::size_t>(chunk)] = f(x + first, std::min(kChunk, count - first));
        }
      });
    });
  }
  return results;
}

double sum_of_squares(std::span<const Tensor> tensors, double scale) {
  return pairwise_sum(
      of_chunks(tensors, [scale](const auto* x, std::int64_t count) { return chunk_sum(x, count, scale); }));
}

double largest(std::span<const Tensor> tensors) {
  const std::vector<double> sizes =
      of_chunks(tensors, [](const auto* x, std::int64_t count) { return chunk_largest(x, count); });
  return chunk_largest(sizes.data(), static_cast<std::int64_t>(sizes.size()));
}

}  // namespace

ClipFactor clip_factor(std::span<const Tensor> gradients, double clip_norm) {
  // A smaller sum may have lost squares that underflowed; of this one they are no part.
  constexpr double kSmallest = 0x1p-900;
  const double sum = sum_of_squares(gradients, 1);
  if (sum > kSmallest && std::isfinite(sum)) return {clip_norm / std::max(std::sqrt(sum), clip_norm)};
  const double top = largest(gradients);
  if (!std::isfinite(top)) return {clip_norm / top};
  if (top == 0) return {};
  const int exponent = std::clamp(-std::ilogb(top), -1022, 1022);
  const double factor = clip_norm / std::sqrt(sum_of_squares(gradients, std::ldexp(1.0, exponent)));
  return std::ldexp(factor, exponent) < 1 ? ClipFactor{factor, exponent} : ClipFactor{};
}

}  // namespace dygrad::detail
