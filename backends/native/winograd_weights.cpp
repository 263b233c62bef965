#include <dygrad/backends/native/winograd_weights.h>

#include <array>

namespace dygrad::native {

namespace {

/// Lanes transformed at once.
constexpr std::int64_t kLanesAtOnce = kMaxPanel;
constexpr std::int64_t kWorthAThread = 1 << 14;

/// Kernels of some lanes, tap by tap: the transform of each phase picks its own.
template <class T>
class KernelLines {
 public:
  KernelLines(const Tiles& tiles, const Conv2DSizes& s)
      : tiles_(tiles), columns_(s.kw), numbers_(static_cast<std::size_t>(s.taps() * kLanesAtOnce)) {}

  T* tap(std::int64_t tap) { return numbers_.data() + tap * kLanesAtOnce; }

  /// The taps of a phase.
  TileView<T> of_phase(std::int64_t phase) {
    const TileAxis &rows = tiles_.rows(), &columns = tiles_.columns();
    const std::int64_t row = phase / columns.phases(), column = phase % columns.phases();
    std::uint32_t outside = 0;
    for (std::int64_t i = 0; i < rows.taps() * columns.taps(); ++i) {
      if (i / columns.taps() >= rows.taps_of(row) || i % columns.taps() >= columns.taps_of(column)) outside |= 1U << i;
    }
    return {tap(row * columns_ + column), rows.phases() * columns_ * kLanesAtOnce, columns.phases() * kLanesAtOnce,
            outside};
  }

 private:
  const Tiles& tiles_;
  std::int64_t columns_;
  std::vector<T> numbers_;
};

/// Calls f(panel, first lane in it, first lane, count) for the parts of a stretch of lanes that lie in one panel each.
template <class T, class F>
void for_each_panel(std::int64_t lane, std::int64_t count, const F& f) {
  const std::int64_t panel = kernels<T>().panel();
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t in_panel = (lane + done) % panel, part = std::min(count - done, panel - in_panel);
    f((lane + done) / panel, in_panel, done, part);
    done += part;
  }
}

}  // namespace

template <class T>
void weights_to_points(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group, const T* weights,
                       const PointPanels<T>& to, bool lanes_are_channels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), taps = s.taps();
  const std::int64_t lanes = lanes_are_channels ? cg : og, others = lanes_are_channels ? og : cg;
  const std::int64_t chunks = ceil_div(lanes, kLanesAtOnce);
  const auto map = tiles.transform<T>(Transform::w_to_points);
  weights += group * cg * og * taps;
  parallel_for(chunks * others, kWorthAThread / (taps * kLanesAtOnce) + 1, [&](std::int64_t first, std::int64_t last) {
    KernelLines<T> lines(tiles, s);
    alignas(64) std::array<T, kMostPoints * kLanesAtOnce> points;
    for (std::int64_t unit = first; unit < last; ++unit) {
      // Along the weights: filters lie close together, channels far apart.
      const std::int64_t chunk = lanes_are_channels ? unit / others : unit % chunks;
      const std::int64_t other = lanes_are_channels ? unit % others : unit / chunks;
      const std::int64_t lane = chunk * kLanesAtOnce, count = std::min(lanes - lane, kLanesAtOnce);
      const std::int64_t line_step = lanes_are_channels ? og * taps : taps;
      const T* from = weights + lane * line_step + other * (lanes_are_channels ? taps : og * taps);
      for (std::int64_t j = 0; j < count; ++j) {
        for (std::int64_t tap = 0; tap < taps; ++tap) lines.tap(tap)[j] = from[j * line_step + tap];
      }
      for (std::int64_t phase = 0; phase < tiles.phases(); ++phase) {
        const TileView<T> in = lines.of_phase(phase);
        map({.in = {in.data, in.row_step, in.column_step, in.outside},
             .out = {points.data(), tiles.columns().points() * kLanesAtOnce, kLanesAtOnce},
             .count = kLanesAtOnce});
        const std::int64_t row = lanes_are_channels ? phase * og + other : other;
        const std::int64_t first_lane = lanes_are_channels ? lane : phase * og + lane;
        for_each_panel<T>(first_lane, count,
                          [&](std::int64_t panel, std::int64_t in_panel, std::int64_t done, std::int64_t part) {
                            const std::int64_t width = to.of_one_point().width_of(panel);
                            const bool is_last = first_lane + done + part == to.lanes;
                            for (std::int64_t p = 0; p < to.points; ++p) {
                              T* const target = to.panel(panel, p) + row * width + in_panel;
                              std::copy_n(points.data() + p * kLanesAtOnce + done, part, target);
                              if (is_last) std::fill(target + part, target - in_panel + width, T{0});
                            }
                          });
      }
    }
  });
}

template <class T>
void points_to_weights(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group,
                       const std::vector<PointPanels<T>>& parts, T* weights) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), taps = s.taps();
  const std::int64_t points = parts[0].points, chunks = ceil_div(og, kLanesAtOnce);
  const auto map = tiles.transform<T>(Transform::points_to_w);
  weights += group * cg * og * taps;
  parallel_for(chunks * cg, kWorthAThread / (taps * kLanesAtOnce) + 1, [&](std::int64_t first, std::int64_t last) {
    KernelLines<T> lines(tiles, s);
    alignas(64) std::array<T, kMostPoints * kLanesAtOnce> sums{};
    for (std::int64_t unit = first; unit < last; ++unit) {
      const std::int64_t channel = unit / chunks, filter = unit % chunks * kLanesAtOnce;
      const std::int64_t count = std::min(og - filter, kLanesAtOnce);
      for (std::int64_t phase = 0; phase < tiles.phases(); ++phase) {
        for_each_panel<T>(phase * og + filter, count,
                          [&](std::int64_t panel, std::int64_t in_panel, std::int64_t done, std::int64_t part) {
                            const std::int64_t offset = channel * parts[0].of_one_point().width_of(panel) + in_panel;
                            for (std::int64_t p = 0; p < points; ++p) {
                              T* const sum = sums.data() + p * kLanesAtOnce + done;
                              std::copy_n(parts[0].panel(panel, p) + offset, part, sum);
                              for (std::size_t other = 1; other < parts.size(); ++other) {
                                const T* more = parts[other].panel(panel, p) + offset;
                                for (std::int64_t i = 0; i < part; ++i) sum[i] += more[i];
                              }
                            }
                          });
        map({.in = {sums.data(), tiles.columns().points() * kLanesAtOnce, kLanesAtOnce},
             .out = lines.of_phase(phase),
             .count = kLanesAtOnce});
      }
      T* const to = weights + (channel * og + filter) * taps;
      for (std::int64_t j = 0; j < count; ++j) {
        for (std::int64_t tap = 0; tap < taps; ++tap) to[j * taps + tap] = lines.tap(tap)[j];
      }
    }
  });
}

void round_points(const PointPanels<float>& from, const PointPanels<Bf16Pair>& to) {
  const Panels<float> one = from.of_one_point();
  const std::vector<float> zeros(static_cast<std::size_t>(kernels<float>().panel()));
  parallel_for(one.count() * from.points, kWorthAThread / (from.depth * kMaxPanel) + 1,
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t i = first; i < last; ++i) {
                   const std::int64_t p = i / from.points, width = one.width_of(p);
                   const float* rows = from.panel(p, i % from.points);
                   Bf16Pair* pairs = to.panel(p, i % from.points);
                   for (std::int64_t row = 0; row < from.depth; row += 2, rows += 2 * width, pairs += width) {
                     kernels<Bf16Pair>().interleave(rows, row + 1 < from.depth ? rows + width : zeros.data(), width,
                                                    pairs);
                   }
                 }
               });
}

template void weights_to_points(const Conv2DSizes&, const Tiles&, std::int64_t, const float*, const PointPanels<float>&,
                                bool);
template void weights_to_points(const Conv2DSizes&, const Tiles&, std::int64_t, const double*,
                                const PointPanels<double>&, bool);
template void points_to_weights(const Conv2DSizes&, const Tiles&, std::int64_t, const std::vector<PointPanels<float>>&,
                                float*);
template void points_to_weights(const Conv2DSizes&, const Tiles&, std::int64_t, const std::vector<PointPanels<double>>&,
                                double*);

}  // namespace dygrad::native
