// What the Winograd algorithms share: which problems they take, their estimate, and how large their blocks are.
#pragma once

#include <dygrad/backends/native/packing/precision.h>
#include <dygrad/backends/native/winograd/winograd_filter.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

/// KC of bwd_weights, in Winograd tiles: both operands of a microkernel stay in L1 and L2.
inline constexpr std::int64_t kTilesAtOnce = 252;

bool winograd_supports(const Problem& problem, const Precision& precision);
double winograd_estimate(const Problem& problem, const Precision& precision, int m);

/// MC: Winograd tiles in a block that takes so many elements each, in blocks of nearly equal size: whole microkernel
/// tiles, and at least enough of them to make good use of weights that come from far away.
template <class T>
std::int64_t block_height(std::int64_t elements, std::int64_t tiles, std::int64_t bytes) {
  const std::int64_t mr = kernels<T>().mr();
  constexpr std::int64_t kMin = 4;
  const std::int64_t most =
      std::max<std::int64_t>(bytes / (elements * static_cast<std::int64_t>(sizeof(T))) / mr, kMin) * mr;
  const std::int64_t blocks = std::max<std::int64_t>(ceil_div(tiles, most), 1);
  return std::max<std::int64_t>(ceil_div(ceil_div(tiles, blocks), mr), 1) * mr;
}

}  // namespace dygrad::native
