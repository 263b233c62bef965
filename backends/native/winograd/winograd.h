// What the algorithms on Winograd's tiles share: which problems they take, and how large their blocks are.
#pragma once

#include <dygrad/backends/native/packing/precision.h>
#include <dygrad/backends/native/winograd/winograd_weights.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

/// Tiles that one tile of the weights gradient sums over: their factors stay in the nearest caches.
inline constexpr std::int64_t kTilesAtOnce = 252;

bool winograd_takes(const Problem& problem, const Precision& precision);
double winograd_estimate(const Problem& problem, const Precision& precision, TileSize pixels);

/// Tiles in a block that takes so many numbers each, in blocks of nearly equal size: whole tiles of the kernels, and at
/// least enough of them to make good use of weights that come from far away.
template <class T>
std::int64_t block_height(std::int64_t numbers, std::int64_t tiles, std::int64_t bytes) {
  const std::int64_t height = kernels<T>().rows();
  constexpr std::int64_t kLeast = 4;
  const std::int64_t most =
      std::max<std::int64_t>(bytes / (numbers * static_cast<std::int64_t>(sizeof(T))) / height, kLeast) * height;
  const std::int64_t blocks = std::max<std::int64_t>(ceil_div(tiles, most), 1);
  return std::max<std::int64_t>(ceil_div(ceil_div(tiles, blocks), height), 1) * height;
}

}  // namespace dygrad::native
