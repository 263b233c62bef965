// What algorithms that multiply patches do, counted before it is done, and what each step costs one thread. The costs
// were fitted to thousands of problems from one product on (tests/bench/choices.cpp); like all of cost.h they are
// nominal.
#pragma once

#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/packing/operands.h>

namespace dygrad::native {

/// Numbers of steps.
struct Steps {
  double plans = 0;        ///< grids of patches, cut into regions
  double tiles = 0;        ///< started and stored
  double stretches = 0;    ///< of memory that tiles go along
  double products = 0;     ///< in whole vectors
  double positions = 0;    ///< whose pixels are found
  double copies = 0;       ///< of stretches of patches
  double copied = 0;       ///< numbers in them
  double packed_rows = 0;  ///< of panels of weights
  double packed = 0;       ///< numbers in them
  double lines = 0;        ///< of sums that are put in order
  double ordered = 0;      ///< numbers in them

  /// Tiles over these rows and lanes, `times` of them, `depth` products deep. Sums are started one after another but
  /// finish a few cycles later: a tile of few sums waits for them.
  template <class T>
  void add_tiles(std::int64_t rows, std::int64_t lanes, double depth, double times) {
    constexpr std::int64_t kInFlight = 8;  // vectors of sums: two units, four cycles
    const Kernels<T>& kernel = kernels<T>();
    const std::int64_t vectors = ceil_div(lanes, kernel.lanes), pairs = vectors / 2, single = vectors % 2;
    for_each_tile<T>(rows, [&](std::int64_t, int height) {
      const std::int64_t h = kernel.heights[height];
      const std::int64_t sums = pairs * std::max(2 * h, kInFlight) + single * std::max(h, kInFlight);
      tiles += times * static_cast<double>(pairs + single);
      products += times * depth * static_cast<double>(sums * kernel.lanes);
    });
  }

  friend Steps operator*(Steps steps, double times) {
    for (double* count :
         {&steps.plans, &steps.tiles, &steps.stretches, &steps.products, &steps.positions, &steps.copies, &steps.copied,
          &steps.packed_rows, &steps.packed, &steps.lines, &steps.ordered})
      *count *= times;
    return steps;
  }

  /// Panels of weights.
  template <class T>
  void add_packed(std::int64_t rows, std::int64_t lanes) {
    packed_rows += static_cast<double>(rows * ceil_div(lanes, kernels<T>().panel()));
    packed += static_cast<double>(rows * lanes);
  }

  /// Seconds of what one thread does for all. Weights are packed plan by plan, large ones by several threads.
  double alone() const {
    constexpr double kWorthAThread = 1 << 14;
    const bool starts = num_threads() > 1 && packed > kWorthAThread * plans;
    return 0.7e-6 + 0.9e-6 * plans + (starts ? cost::kConversions * cost::kThreadStart * plans : 0);
  }

  /// Seconds of what threads share.
  double shared(DType dtype, double product_rate) const {
    const double byte = 0.04e-9, number = byte * static_cast<double>(size_of(dtype));
    return 2 * products / (0.95 * product_rate) + 34e-9 * tiles + 3.5e-9 * stretches + 4e-9 * positions +
           3e-9 * copies + number * copied + cost::kConversions * (20e-9 * packed_rows + number * packed) +
           100e-9 * lines + number * ordered;
  }

  /// Seconds in all, `waiting` for memory beside it included.
  double seconds(const Conv2DSizes& s, DType dtype, double product_rate, double waiting = 0) const {
    return alone() + cost::seconds(shared(dtype, product_rate) + waiting, cost::bytes(s, dtype) / cost::kBandwidth,
                                   num_native_pieces(s));
  }
};

}  // namespace dygrad::native
