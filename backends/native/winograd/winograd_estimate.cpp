// Which problems Winograd takes, and how long it will need.
#include <limits>

#include <dygrad/backends/native/igemm/cost_model.h>
#include <dygrad/backends/native/winograd/tile_partition.h>
#include <dygrad/backends/native/winograd/winograd.h>

namespace dygrad::native {

bool winograd_supports(const Problem& problem, const Precision& precision) {
  return precision.supports(problem) && problem.math_mode != MathMode::strict && Tiles::suit(conv2d_sizes(problem));
}

/// Floating-point operations below which a problem keeps all its digits: F2 and F4 would save too little.
constexpr double kWorthF2 = 1e6, kWorthF4 = 8e6;

namespace {

/// The GEMMs of one group, one for each point.
template <class T>
WorkCounts work_counts(Problem::Kind kind, const Tiles& tiles) {
  const double share = tiles.num_multiplications() / static_cast<double>(tiles.count() * tiles.points());
  const auto points = static_cast<double>(tiles.points());
  WorkCounts counts;
  if (kind == Problem::Kind::conv2d_weights) {
    const auto blocks = static_cast<double>(ceil_div(tiles.count(), kTilesAtOnce));
    const auto depth = share * static_cast<double>(num_packed<T>(tiles.count())) / blocks;
    counts.add_tiles<T>(tiles.channels(), tiles.y_columns(), depth, points * blocks);
    return counts;
  }
  const bool forward = kind == Problem::Kind::conv2d_transpose;
  const std::int64_t depth = forward ? tiles.channels() : tiles.y_columns();
  counts.add_tiles<T>(tiles.count(), forward ? tiles.y_columns() : tiles.channels(),
                      static_cast<double>(num_packed<T>(depth)), points * share);
  return counts;
}

}  // namespace

double winograd_estimate(const Problem& problem, const Precision& precision, int m) {
  const Conv2DSizes s = conv2d_sizes(problem);
  const double worth = m == 4 ? kWorthF4 : kWorthF2;
  if (cost::flop(s) < worth) return std::numeric_limits<double>::infinity();
  const Tiles tiles(s, m);
  const bool columns_are_channels = problem.kind == Problem::Kind::conv2d;
  const auto size = static_cast<double>(size_of(problem.dtype)), groups = static_cast<double>(s.groups);
  const auto count = static_cast<double>(tiles.count()) * groups, points = static_cast<double>(tiles.points());
  const auto depth = static_cast<double>(tiles.channels()), n = static_cast<double>(tiles.y_columns());
  const std::int64_t summed = problem.kind == Problem::Kind::conv2d_weights ? tiles.count()
                              : columns_are_channels                        ? tiles.y_columns()
                                                                            : tiles.channels();
  const WorkCounts counts =
      precision.dispatch(problem.dtype, "winograd", [&]<class T>() { return work_counts<T>(problem.kind, tiles); });
  const double rate =
      problem.kind == Problem::Kind::conv2d_weights ? 0.85 : 1;  // rank-1 updates load both operands through pointers
  const double compute =
      groups * counts.parallel_seconds(problem.dtype, rate * precision.flop_rate(problem.dtype, summed));
  // What a segment of a tile costs at each point, and each element of a transform. Large images come from memory, y in
  // pieces that are not prefetched.
  constexpr double kSegment = 10e-9, kTransformRate = 20e9, kInCaches = 8 << 20;
  const double copies =
      count * points * ((static_cast<double>(tiles.segments()) + 0.8) * kSegment + (n + depth) * size / kTransformRate);
  constexpr double kWeight = cost::kReorders * 1.9e-9;  // to pack one
  const double weights = points * depth * n * groups * size;
  const double x_bytes = static_cast<double>(num_elements(s.x_shape())) * size;
  const double y_bytes = static_cast<double>(num_elements(s.y_shape())) * size;
  const double memory = kWeight * static_cast<double>(num_elements(s.w_shape())) +
                        (std::max(x_bytes + 2 * y_bytes - kInCaches, 0.) + weights / 2) / cost::kBandwidth;
  const Panels<float> panels{0, columns_are_channels ? tiles.channels() : tiles.y_columns(), nullptr};
  const bool shares_columns_first = problem.kind == Problem::Kind::conv2d_weights && panels.count() >= num_threads();
  const std::int64_t unit = problem.kind == Problem::Kind::conv2d_transpose ? tiles.per_image() : kernels<float>().mr();
  const std::int64_t units = shares_columns_first ? 1 : ceil_div(tiles.count(), unit);
  const double balance = TilePartition2D::of<float>(units, unit, panels.count(), num_threads(), true).balance;
  constexpr double kStart = 3e-6;  // to list tiles and partition them
  constexpr double kMargin = 1.2;  // digits are only given up for a gain
  const double margin = m == 4 ? kMargin : 1;
  const double alone = margin * (kStart + cost::seconds((compute + copies + memory) / balance, 0));
  const double rounded = problem.kind == Problem::Kind::conv2d_weights ? depth + n : columns_are_channels ? n : depth;
  constexpr double kFromCache = 1. / 3;  // of the time that packing from memory takes
  return precision.with_conversion(alone, static_cast<std::int64_t>(kFromCache * count * points * rounded));
}

}  // namespace dygrad::native
