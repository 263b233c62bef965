// Cutting work into ranges, one piece per thread. For the .cpp files of backends/.
#pragma once

#include <algorithm>
#include <cstdint>

#include <dygrad/core/base/parallel.h>

namespace dygrad {

/// Whole numbers in [first, last).
struct Range {
  std::int64_t first;
  std::int64_t last;
  std::int64_t size() const { return last - first; }
};

/// Part `index` of `parts` nearly equal parts of `whole`.
inline Range part_of(Range whole, std::int64_t index, std::int64_t parts) {
  return {whole.first + whole.size() * index / parts, whole.first + whole.size() * (index + 1) / parts};
}

/// Pieces worth making of `multiplications`; at most one per thread, and at most `limit`.
inline std::int64_t num_pieces(double multiplications, std::int64_t limit) {
  constexpr double kWorthAThread = 1 << 16;
  const auto worth = static_cast<std::int64_t>(std::min(multiplications / kWorthAThread, 4096.0)) + 1;
  return std::max<std::int64_t>(1, std::min({worth, limit, static_cast<std::int64_t>(num_threads())}));
}

/// Calls f(piece) for every piece in [0, pieces), each on a thread of its own if there are as many.
template <class F>
void for_each_piece(std::int64_t pieces, const F& f) {
  parallel_for(pieces, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t piece = first; piece < last; ++piece) f(piece);
  });
}

}  // namespace dygrad
