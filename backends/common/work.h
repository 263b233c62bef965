// Work partition: ranges, one chunk per thread. For the .cpp files of backends/.
#pragma once

#include <algorithm>
#include <cstdint>

#include <dygrad/core/base/parallel.h>

namespace dygrad {

/// Indices in [first, last).
struct Range {
  std::int64_t first;
  std::int64_t last;
  std::int64_t size() const { return last - first; }
};

/// Part `index` of `parts` nearly equal parts of `whole`.
inline Range part_of(Range whole, std::int64_t index, std::int64_t parts) {
  return {whole.first + whole.size() * index / parts, whole.first + whole.size() * (index + 1) / parts};
}

/// Chunks worth making of `multiplications`; at most one per thread, and at most `limit`.
inline std::int64_t num_chunks(double multiplications, std::int64_t limit) {
  constexpr double kWorthAThread = 1 << 16;
  const auto worth = static_cast<std::int64_t>(std::min(multiplications / kWorthAThread, 4096.0)) + 1;
  return std::max<std::int64_t>(1, std::min({worth, limit, static_cast<std::int64_t>(num_threads())}));
}

/// Calls f(chunk) for every chunk in [0, chunks), each on a thread of its own if there are as many.
template <class F>
void parallel_for_chunks(std::int64_t chunks, const F& f) {
  parallel_for(chunks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t chunk = first; chunk < last; ++chunk) f(chunk);
  });
}

}  // namespace dygrad
