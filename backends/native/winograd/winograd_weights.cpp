#include <dygrad/backends/native/winograd/winograd_weights.h>

#include <array>
#include <cstring>

namespace dygrad::native {

namespace {

/// Lanes moved at once.
constexpr std::int64_t kLanesAtOnce = kMaxPanel;
constexpr std::int64_t kWorthAThread = 1 << 14;

/// Kernels of some lanes, tap by tap.
template <class T>
class KernelLines {
 public:
  explicit KernelLines(std::int64_t taps) : numbers_(static_cast<std::size_t>(taps * kLanesAtOnce)) {
    for (std::int64_t i = 0; i < taps; ++i) taps_.push_back(tap(i));
  }
  const T* const* all() const { return taps_.data(); }
  T* tap(std::int64_t tap) { return numbers_.data() + tap * kLanesAtOnce; }

 private:
  std::vector<T> numbers_;
  std::vector<const T*> taps_;
};

/// Calls f(tap of the tile, kernel index), or kNone where the kernel has ended, for all taps of a phase.
constexpr std::int64_t kNone = -1;
template <class F>
void for_each_tap(const Conv2DSizes& s, const Tiles& tiles, std::int64_t phase, const F& f) {
  const TileAxis &rows = tiles.rows(), &columns = tiles.columns();
  const std::int64_t row_phase = phase / columns.phases(), column_phase = phase % columns.phases();
  for (std::int64_t i = 0; i < rows.taps(); ++i) {
    for (std::int64_t j = 0; j < columns.taps(); ++j) {
      const bool ended = i >= rows.taps_of(row_phase) || j >= columns.taps_of(column_phase);
      const std::int64_t row = row_phase + i * rows.phases(), column = column_phase + j * columns.phases();
      f(i * columns.taps() + j, ended ? kNone : row * s.kw + column);
    }
  }
}

/// Calls f(panel, first lane in it, lanes done, count) for the parts of a stretch of lanes that lie in one panel each.
template <class F>
void for_each_panel(std::int64_t width, std::int64_t lane, std::int64_t count, const F& f) {
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t in_panel = (lane + done) % width, part = std::min(count - done, width - in_panel);
    f((lane + done) / width, in_panel, done, part);
    done += part;
  }
}

/// Most parts are whole panels, too short to call a function for.
template <class T>
void copy_lanes(const T* from, std::int64_t count, T* to) {
  constexpr std::int64_t kAtOnce = 16;
  for (; count >= kAtOnce; count -= kAtOnce, from += kAtOnce, to += kAtOnce) std::memcpy(to, from, kAtOnce * sizeof(T));
  std::copy_n(from, count, to);
}

template <class T>
void zero_last_panel(const StackedPanels<T>& panels) {
  const std::int64_t last = panels.count - 1;
  std::fill_n(panels.panel(last), panels.matrices * panels.panel_size(last), T{0});
}

}  // namespace

template <class T>
void weights_to_taps(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group, const T* weights,
                     const StackedPanels<T>& taps, bool lanes_are_channels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), kernel = s.taps();
  const std::int64_t lanes = lanes_are_channels ? cg : og, others = lanes_are_channels ? og : cg;
  const std::int64_t chunks = ceil_div(lanes, kLanesAtOnce);
  const std::int64_t line_step = lanes_are_channels ? og * kernel : kernel;
  const std::int64_t other_step = lanes_are_channels ? kernel : og * kernel;
  weights += group * cg * og * kernel;
  zero_last_panel(taps);
  parallel_for(
      chunks * others, kWorthAThread / (kernel * kLanesAtOnce) + 1, [&](std::int64_t first, std::int64_t last) {
        KernelLines<T> lines(kernel);
        std::array<const T*, kLanesAtOnce> sources;
        for (std::int64_t unit = first; unit < last; ++unit) {
          // Along the weights: filters lie close together, channels far apart.
          const std::int64_t chunk = lanes_are_channels ? unit / others : unit % chunks;
          const std::int64_t other = lanes_are_channels ? unit % others : unit / chunks;
          const std::int64_t lane = chunk * kLanesAtOnce, count = std::min(lanes - lane, kLanesAtOnce);
          for (std::int64_t j = 0; j < count; ++j)
            sources[static_cast<std::size_t>(j)] = weights + (lane + j) * line_step + other * other_step;
          kernels<T>().transpose(sources.data(), count, kernel, lines.tap(0), kLanesAtOnce);
          for (std::int64_t phase = 0; phase < tiles.phases(); ++phase) {
            const std::int64_t row = lanes_are_channels ? phase * og + other : other;
            const std::int64_t first_lane = lanes_are_channels ? lane : phase * og + lane;
            for_each_tap(s, tiles, phase, [&](std::int64_t tap, std::int64_t index) {
              for_each_panel(taps.width, first_lane, count,
                             [&](std::int64_t panel, std::int64_t in_panel, std::int64_t done, std::int64_t part) {
                               T* const to = taps.at(panel, tap, row, in_panel);
                               if (index == kNone) std::fill_n(to, part, T{0});
                               else copy_lanes(lines.tap(index) + done, part, to);
                             });
            });
          }
        }
      });
}

template <class T>
void taps_to_weights(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group,
                     const std::vector<StackedPanels<T>>& parts, T* weights) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), kernel = s.taps();
  const std::int64_t chunks = ceil_div(og, kLanesAtOnce);
  weights += group * cg * og * kernel;
  parallel_for(chunks * cg, kWorthAThread / (kernel * kLanesAtOnce) + 1, [&](std::int64_t first, std::int64_t last) {
    KernelLines<T> lines(kernel);
    for (std::int64_t unit = first; unit < last; ++unit) {
      // Along the panels, of which a few are read at a time.
      const std::int64_t channel = unit % cg, filter = unit / cg * kLanesAtOnce;
      const std::int64_t count = std::min(og - filter, kLanesAtOnce);
      for (std::int64_t phase = 0; phase < tiles.phases(); ++phase) {
        for_each_tap(s, tiles, phase, [&](std::int64_t tap, std::int64_t index) {
          if (index == kNone) return;
          for_each_panel(parts[0].width, phase * og + filter, count,
                         [&](std::int64_t panel, std::int64_t in_panel, std::int64_t done, std::int64_t part) {
                           T* const sum = lines.tap(index) + done;
                           copy_lanes(parts[0].at(panel, tap, channel, in_panel), part, sum);
                           for (std::size_t other = 1; other < parts.size(); ++other) {
                             const T* more = parts[other].at(panel, tap, channel, in_panel);
                             for (std::int64_t i = 0; i < part; ++i) sum[i] += more[i];
                           }
                         });
        });
      }
      kernels<T>().transpose(lines.all(), kernel, count, weights + (channel * og + filter) * kernel, kernel);
    }
  });
}

template <class T>
void panel_to_points(const Tiles& tiles, const StackedPanels<T>& taps, std::int64_t panel, Range rows, T* points) {
  const std::int64_t size = taps.panel_size(panel), width = taps.width_of(panel), count = rows.size() * width;
  tiles.transform<T>(Transform::w_to_points)(
      {.in = {taps.panel(panel) + rows.first * width, tiles.columns().taps() * size, size},
       .out = {points, tiles.columns().points() * count, count},
       .count = count});
}

template <class T>
void panel_to_taps(const Tiles& tiles, const T* points, std::int64_t panel, const StackedPanels<T>& taps) {
  const std::int64_t size = taps.panel_size(panel);
  tiles.transform<T>(Transform::points_to_w)({.in = {points, tiles.columns().points() * size, size},
                                              .out = {taps.panel(panel), tiles.columns().taps() * size, size},
                                              .count = size});
}

template <class T>
TileWeights<T>::TileWeights(const Algorithm& algorithm, const Conv2DSizes& s, const Tiles& tiles, const Tensor& w,
                            bool of_d)
    : tiles_(tiles), depth_(of_d ? tiles.channels() : tiles.lanes()), lanes_(of_d ? tiles.lanes() : tiles.channels()) {
  constexpr std::int64_t kKeptBytes = 2 << 20, kPartBytes = 800 << 10;
  const std::int64_t points_size = s.groups * StackedPanels<T>::size(tiles.points(), elements_for<T>(depth_), lanes_);
  const std::int64_t taps_size = s.groups * StackedPanels<Sum<T>>::size(tiles.taps(), depth_, lanes_);
  const auto fill_taps = [&](const Sum<T>* from, Sum<T>* to) {
    for (std::int64_t group = 0; group < s.groups; ++group)
      weights_to_taps(s, tiles, group, from, taps_of(group, to), !of_d);
  };
  kept_ = points_size * static_cast<std::int64_t>(sizeof(T)) <= kKeptBytes;
  const std::int64_t elements = elements_for<T>(depth_);
  const std::int64_t row_bytes = tiles.points() * kernels<T>().panel() * static_cast<std::int64_t>(sizeof(T));
  depth_at_once_ = kept_ ? elements : ceil_div(elements, ceil_div(elements * row_bytes, kPartBytes));
  if (!kept_) {
    packed_ = packed_weights<Sum<T>>(algorithm, s, w, taps_size, fill_taps);
    return;
  }
  packed_ = packed_weights<T, Sum<T>>(algorithm, s, w, points_size, [&](const Sum<T>* from, T* to) {
    const Scratch<Sum<T>> taps(1, taps_size);
    const Scratch<Sum<T>> numbers(kFactors<T> == 1 ? 0 : 1, tiles.points() * depth_ * kMaxPanel);
    fill_taps(from, taps.of_piece(0));
    for (std::int64_t group = 0; group < s.groups; ++group) {
      const StackedPanels<T> points = points_of(group, to);
      for (std::int64_t p = 0; p < points.count; ++p) {
        const StackedPanels<Sum<T>> from_taps = taps_of(group, taps.of_piece(0));
        if constexpr (kFactors<T> == 1) panel_to_points(tiles, from_taps, p, {0, depth_}, points.panel(p));
        else to_elements(from_taps, p, {0, elements}, numbers.of_piece(0), points.panel(p));
      }
    }
  });
}

template <class T>
StackedPanels<T> TileWeights<T>::points_of(std::int64_t group, T* data) const {
  const StackedPanels<T> first{tiles_.points(), elements_for<T>(depth_), lanes_, data};
  return {first.matrices, first.depth, lanes_, data + group * first.size(first.matrices, first.depth, lanes_)};
}

template <class T>
StackedPanels<Sum<T>> TileWeights<T>::taps_of(std::int64_t group, Sum<T>* data) const {
  return {tiles_.taps(), depth_, lanes_, data + group * StackedPanels<Sum<T>>::size(tiles_.taps(), depth_, lanes_)};
}

template <class T>
const T* TileWeights<T>::to_elements(const StackedPanels<Sum<T>>& taps, std::int64_t p, Range ks, Sum<T>* numbers,
                                     T* elements) const {
  const Range rows{ks.first * kFactors<T>, std::min(ks.last * kFactors<T>, depth_)};
  panel_to_points(tiles_, taps, p, rows, numbers);
  if constexpr (kFactors<T> == 1) {
    return numbers;
  } else {
    static constexpr std::array<float, kMaxPanel> kZeros{};
    const std::int64_t width = taps.width_of(p);
    T* to = elements;
    for (int point = 0; point < tiles_.points(); ++point) {
      const float* from = numbers + point * rows.size() * width;
      for (std::int64_t row = 0; row < rows.size(); row += 2, from += 2 * width, to += width)
        kernels<T>().interleave(from, row + 1 < rows.size() ? from + width : kZeros.data(), width, to);
    }
    return elements;
  }
}

template <class T>
const T* TileWeights<T>::panel(std::int64_t group, std::int64_t p, Range ks, Sum<T>* numbers, T* elements) const {
  if (kept_) return points_of(group, packed_->numbers.template mutable_data<T>()).panel(p);
  return to_elements(taps_of(group, packed_->numbers.template mutable_data<Sum<T>>()), p, ks, numbers, elements);
}

template class TileWeights<float>;
template class TileWeights<double>;
template class TileWeights<Bf16Pair>;

#define DYGRAD_WEIGHTS_OF(T)                                                                                          \
  template void weights_to_taps(const Conv2DSizes&, const Tiles&, std::int64_t, const T*, const StackedPanels<T>&,    \
                                bool);                                                                                \
  template void taps_to_weights(const Conv2DSizes&, const Tiles&, std::int64_t, const std::vector<StackedPanels<T>>&, \
                                T*);                                                                                  \
  template void panel_to_points(const Tiles&, const StackedPanels<T>&, std::int64_t, Range, T*);                      \
  template void panel_to_taps(const Tiles&, const T*, std::int64_t, const StackedPanels<T>&);
DYGRAD_WEIGHTS_OF(float)
DYGRAD_WEIGHTS_OF(double)
#undef DYGRAD_WEIGHTS_OF

}  // namespace dygrad::native
