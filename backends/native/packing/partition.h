// Work partition: one chunk per thread.
#pragma once

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/microkernels/kernels.h>

namespace dygrad::native {

/// Chunks worth making of a problem, at most one per thread.
inline std::int64_t num_native_chunks(const Conv2DSizes& s) {
  constexpr double kWorthAThread = 4e5;  // multiply-adds, about ten microseconds
  const double multiply_adds =
      static_cast<double>(s.n * s.h * s.w) * static_cast<double>(s.c * s.filters_in_group() * s.taps());
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(multiply_adds / kWorthAThread, 1e6)), 1,
                                  num_threads());
}

/// Chunk `index` of `count` equal ones.
struct Chunk {
  std::int64_t index, count;
};

/// One thread's part of a matrix of results, cut between whole microkernel tiles: along N (panels) where tiles along M
/// (positions) are few, or where there are more weights to read than pixels.
struct TilePartition {
  Range positions, panels;
};
template <class T>
TilePartition partition_tiles(std::int64_t positions, std::int64_t panels, Chunk chunk) {
  const std::int64_t mr = kernels<T>().mr(), tiles = (positions + mr - 1) / mr;
  const bool mostly_weights = panels >= 2 * chunk.count && panels * kernels<T>().nr() > positions;
  if ((tiles < 2 * chunk.count && panels > tiles) || mostly_weights) {
    return {{0, positions}, part_of({0, panels}, chunk.index, chunk.count)};
  }
  const Range own = part_of({0, tiles}, chunk.index, chunk.count);
  return {{std::min(own.first * mr, positions), std::min(own.last * mr, positions)}, {0, panels}};
}

}  // namespace dygrad::native
