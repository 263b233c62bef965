// The work of an implicit GEMM, counted before it is done, and what one thread takes for it.
#pragma once

#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/partition.h>

namespace dygrad::native {

/// Seconds for one thread. Fitted to thousands of problems from one multiplication on (tests/bench/choices.cpp); like
/// all of cost.h they are nominal.
struct IgemmCosts {
  double call = 0.7e-6;
  double geometry = 0.9e-6;           ///< a ConvGeometry, cut into border regions
  double peak_share = 0.95;           ///< of the nominal flop rate that microkernels reach
  double tile = 34e-9;                ///< a microkernel call, its loads and stores of accumulators
  double segment = 3.5e-9;            ///< a contiguous segment of memory that a tile reads
  double position = 4e-9;             ///< an output position, whose addresses are computed
  double segment_copy = 3e-9;         ///< im2row: a segment copied
  double packed_row = 20e-9;          ///< a row of a panel of weights
  double result_row = 100e-9;         ///< a row of the weights gradient, transposed at the end
  double byte_moved = 0.04e-9;        ///< of what is copied, packed or transposed
  double parallel_packing = 1 << 14;  ///< elements of weights from which on threads share their packing
};
inline constexpr IgemmCosts kIgemmCosts;

/// Counts of the items of IgemmCosts.
struct WorkCounts {
  double geometries = 0;
  double tiles = 0;
  double segments = 0;
  double multiply_adds = 0;  ///< in whole vectors
  double positions = 0;
  double segment_copies = 0;
  double copied_elements = 0;
  double packed_rows = 0;
  double packed_elements = 0;
  double result_rows = 0;
  double result_elements = 0;

  /// `times` tiles over M = rows, N = n and K = depth. Accumulators finish a few cycles after they start: a tile of
  /// few accumulators waits for them.
  template <class T>
  void add_tiles(std::int64_t rows, std::int64_t n, double depth, double times) {
    constexpr std::int64_t kInFlight = 8;  // vectors of accumulators: two FMA units, four cycles
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t vectors = ceil_div(n, kernel.lanes), pairs = vectors / 2, single = vectors % 2;
    for_each_tile<T>(rows, [&](std::int64_t, int variant) {
      const std::int64_t mr = kernel.mr_variants[variant];
      const std::int64_t sums = pairs * std::max(2 * mr, kInFlight) + single * std::max(mr, kInFlight);
      tiles += times * static_cast<double>(pairs + single);
      multiply_adds += times * depth * static_cast<double>(sums * kernel.lanes);
    });
  }

  friend WorkCounts operator*(WorkCounts counts, double times) {
    for (double* count : {&counts.geometries, &counts.tiles, &counts.segments, &counts.multiply_adds, &counts.positions,
                          &counts.segment_copies, &counts.copied_elements, &counts.packed_rows, &counts.packed_elements,
                          &counts.result_rows, &counts.result_elements})
      *count *= times;
    return counts;
  }

  /// Panels of weights.
  template <class T>
  void add_packed(std::int64_t rows, std::int64_t n) {
    packed_rows += static_cast<double>(rows * ceil_div(n, kernels<T>().nr()));
    packed_elements += static_cast<double>(rows * n);
  }

  /// Seconds of what is not parallel. Weights are packed geometry by geometry, large ones by several threads.
  double serial_seconds() const {
    const IgemmCosts& c = kIgemmCosts;
    const bool is_parallel = num_threads() > 1 && packed_elements > c.parallel_packing * geometries;
    return c.call + c.geometry * geometries + (is_parallel ? cost::kReorders * cost::kThreadStart * geometries : 0);
  }

  /// Seconds of one thread for what is parallel.
  double parallel_seconds(DType dtype, double flop_rate) const {
    const IgemmCosts& c = kIgemmCosts;
    const double element = c.byte_moved * static_cast<double>(size_of(dtype));
    return 2 * multiply_adds / (c.peak_share * flop_rate) + c.tile * tiles + c.segment * segments +
           c.position * positions + c.segment_copy * segment_copies + element * copied_elements +
           cost::kReorders * (c.packed_row * packed_rows + element * packed_elements) + c.result_row * result_rows +
           element * result_elements;
  }

  /// Total seconds; `waiting` is added memory latency.
  double seconds(const Conv2DSizes& s, DType dtype, double flop_rate, double waiting = 0) const {
    return serial_seconds() + cost::seconds(parallel_seconds(dtype, flop_rate) + waiting,
                                            cost::bytes(s, dtype) / cost::kBandwidth, num_native_chunks(s));
  }
};

}  // namespace dygrad::native
