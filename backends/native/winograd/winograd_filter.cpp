#include <dygrad/backends/native/winograd/winograd_filter.h>

#include <array>
#include <cstring>

#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

/// Columns moved at once.
constexpr std::int64_t kColumnsAtOnce = kMaxNr;
constexpr std::int64_t kWorthAThread = 1 << 14;

/// The kernels of some columns, tap by tap.
template <class T>
class KernelLines {
 public:
  explicit KernelLines(std::int64_t taps) : data_(static_cast<std::size_t>(taps * kColumnsAtOnce)) {
    for (std::int64_t i = 0; i < taps; ++i) taps_.push_back(tap(i));
  }
  const T* const* all() const { return taps_.data(); }
  T* tap(std::int64_t tap) { return data_.data() + tap * kColumnsAtOnce; }

 private:
  std::vector<T> data_;
  std::vector<const T*> taps_;
};

/// Calls f(tap of the tile, kernel index), or kNone where the kernel has ended, for all taps.
constexpr std::int64_t kNone = -1;
template <class F>
void for_each_tap(const Conv2DSizes& s, const Tiles& tiles, std::int64_t subkernel, const F& f) {
  const TileAxis &rows = tiles.rows(), &columns = tiles.columns();
  const std::int64_t row_subkernel = subkernel / columns.subkernels(),
                     column_subkernel = subkernel % columns.subkernels();
  for (std::int64_t i = 0; i < rows.r(); ++i) {
    for (std::int64_t j = 0; j < columns.r(); ++j) {
      const bool ended = i >= rows.taps_of(row_subkernel) || j >= columns.taps_of(column_subkernel);
      const std::int64_t row = row_subkernel + i * rows.subkernels(),
                         column = column_subkernel + j * columns.subkernels();
      f(i * columns.r() + j, ended ? kNone : row * s.kw + column);
    }
  }
}

/// Calls f(panel, first column in it, columns done, count) for the parts of a segment of columns that lie in one panel
/// each.
template <class F>
void for_each_panel(std::int64_t width, std::int64_t column, std::int64_t count, const F& f) {
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t in_panel = (column + done) % width, part = std::min(count - done, width - in_panel);
    f((column + done) / width, in_panel, done, part);
    done += part;
  }
}

/// Most parts are whole panels, too short to call a function for.
template <class T>
void copy_columns(const T* from, std::int64_t count, T* to) {
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
void pack_filter(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group, const T* weights,
                 const StackedPanels<T>& taps, bool columns_are_channels) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), kernel = s.taps();
  const std::int64_t n = columns_are_channels ? cg : og, others = columns_are_channels ? og : cg;
  const std::int64_t chunks = ceil_div(n, kColumnsAtOnce);
  const std::int64_t line_step = columns_are_channels ? og * kernel : kernel;
  const std::int64_t other_step = columns_are_channels ? kernel : og * kernel;
  weights += group * cg * og * kernel;
  zero_last_panel(taps);
  parallel_for(
      chunks * others, kWorthAThread / (kernel * kColumnsAtOnce) + 1, [&](std::int64_t first, std::int64_t last) {
        KernelLines<T> lines(kernel);
        std::array<const T*, kColumnsAtOnce> sources;
        for (std::int64_t unit = first; unit < last; ++unit) {
          // In the order of the weights: filters are close together, channels far apart.
          const std::int64_t chunk = columns_are_channels ? unit / others : unit % chunks;
          const std::int64_t other = columns_are_channels ? unit % others : unit / chunks;
          const std::int64_t column = chunk * kColumnsAtOnce, count = std::min(n - column, kColumnsAtOnce);
          for (std::int64_t j = 0; j < count; ++j)
            sources[static_cast<std::size_t>(j)] = weights + (column + j) * line_step + other * other_step;
          kernels<T>().transpose(sources.data(), count, kernel, lines.tap(0), kColumnsAtOnce);
          for (std::int64_t subkernel = 0; subkernel < tiles.subkernels(); ++subkernel) {
            const std::int64_t row = columns_are_channels ? subkernel * og + other : other;
            const std::int64_t first_column = columns_are_channels ? column : subkernel * og + column;
            for_each_tap(s, tiles, subkernel, [&](std::int64_t tap, std::int64_t index) {
              for_each_panel(taps.width, first_column, count,
                             [&](std::int64_t panel, std::int64_t in_panel, std::int64_t done, std::int64_t part) {
                               T* const to = taps.at(panel, tap, row, in_panel);
                               if (index == kNone) std::fill_n(to, part, T{0});
                               else copy_columns(lines.tap(index) + done, part, to);
                             });
            });
          }
        }
      });
}

template <class T>
void unpack_filter(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group,
                   const std::vector<StackedPanels<T>>& parts, T* weights) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group(), kernel = s.taps();
  const std::int64_t chunks = ceil_div(og, kColumnsAtOnce);
  weights += group * cg * og * kernel;
  parallel_for(chunks * cg, kWorthAThread / (kernel * kColumnsAtOnce) + 1, [&](std::int64_t first, std::int64_t last) {
    KernelLines<T> lines(kernel);
    for (std::int64_t unit = first; unit < last; ++unit) {
      // In the order of the panels, of which a few are read at a time.
      const std::int64_t channel = unit % cg, filter = unit / cg * kColumnsAtOnce;
      const std::int64_t count = std::min(og - filter, kColumnsAtOnce);
      for (std::int64_t subkernel = 0; subkernel < tiles.subkernels(); ++subkernel) {
        for_each_tap(s, tiles, subkernel, [&](std::int64_t tap, std::int64_t index) {
          if (index == kNone) return;
          for_each_panel(parts[0].width, subkernel * og + filter, count,
                         [&](std::int64_t panel, std::int64_t in_panel, std::int64_t done, std::int64_t part) {
                           T* const sum = lines.tap(index) + done;
                           copy_columns(parts[0].at(panel, tap, channel, in_panel), part, sum);
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
void transform_filter(const Tiles& tiles, const StackedPanels<T>& taps, std::int64_t panel, Range rows, T* points) {
  const std::int64_t size = taps.panel_size(panel), width = taps.width_of(panel), count = rows.size() * width;
  tiles.transform<T>(Transform::filter)(
      {.in = {taps.panel(panel) + rows.first * width, tiles.columns().r() * size, size},
       .out = {points, tiles.columns().points() * count, count},
       .count = count});
}

template <class T>
void transform_filter_adjoint(const Tiles& tiles, const T* points, std::int64_t panel, const StackedPanels<T>& taps) {
  const std::int64_t size = taps.panel_size(panel);
  tiles.transform<T>(Transform::filter_adjoint)({.in = {points, tiles.columns().points() * size, size},
                                                 .out = {taps.panel(panel), tiles.columns().r() * size, size},
                                                 .count = size});
}

template <class T>
TransformedFilter<T>::TransformedFilter(const Algorithm& algorithm, const Conv2DSizes& s, const Tiles& tiles,
                                        const Tensor& w, bool forward)
    : tiles_(tiles),
      depth_(forward ? tiles.channels() : tiles.y_columns()),
      n_(forward ? tiles.y_columns() : tiles.channels()) {
  constexpr std::int64_t kKeptBytes = 2 << 20, kPartBytes = 800 << 10;
  const std::int64_t points_size = s.groups * StackedPanels<T>::size(tiles.points(), num_packed<T>(depth_), n_);
  const std::int64_t taps_size = s.groups * StackedPanels<acc_t<T>>::size(tiles.taps(), depth_, n_);
  const auto fill_taps = [&](const acc_t<T>* from, acc_t<T>* to) {
    for (std::int64_t group = 0; group < s.groups; ++group)
      pack_filter(s, tiles, group, from, taps_of(group, to), !forward);
  };
  kept_ = points_size * static_cast<std::int64_t>(sizeof(T)) <= kKeptBytes;
  const std::int64_t k_blocks = num_packed<T>(depth_);
  const std::int64_t row_bytes = tiles.points() * kernels<T>().nr() * static_cast<std::int64_t>(sizeof(T));
  depth_at_once_ = kept_ ? k_blocks : ceil_div(k_blocks, ceil_div(k_blocks * row_bytes, kPartBytes));
  if (!kept_) {
    packed_ = prepacked_weights<acc_t<T>>(algorithm, s, w, taps_size, fill_taps);
    return;
  }
  packed_ = prepacked_weights<T, acc_t<T>>(algorithm, s, w, points_size, [&](const acc_t<T>* from, T* to) {
    const Workspace<acc_t<T>> taps(1, taps_size);
    const Workspace<acc_t<T>> scratch(kVnniBlock<T> == 1 ? 0 : 1, tiles.points() * depth_ * kMaxNr);
    fill_taps(from, taps.of_chunk(0));
    for (std::int64_t group = 0; group < s.groups; ++group) {
      const StackedPanels<T> points = transformed_of(group, to);
      for (std::int64_t p = 0; p < points.count; ++p) {
        const StackedPanels<acc_t<T>> from_taps = taps_of(group, taps.of_chunk(0));
        if constexpr (kVnniBlock<T> == 1) transform_filter(tiles, from_taps, p, {0, depth_}, points.panel(p));
        else to_packed(from_taps, p, {0, k_blocks}, scratch.of_chunk(0), points.panel(p));
      }
    }
  });
}

template <class T>
StackedPanels<T> TransformedFilter<T>::transformed_of(std::int64_t group, T* data) const {
  const StackedPanels<T> first{tiles_.points(), num_packed<T>(depth_), n_, data};
  return {first.matrices, first.depth, n_, data + group * first.size(first.matrices, first.depth, n_)};
}

template <class T>
StackedPanels<acc_t<T>> TransformedFilter<T>::taps_of(std::int64_t group, acc_t<T>* data) const {
  return {tiles_.taps(), depth_, n_, data + group * StackedPanels<acc_t<T>>::size(tiles_.taps(), depth_, n_)};
}

template <class T>
const T* TransformedFilter<T>::to_packed(const StackedPanels<acc_t<T>>& taps, std::int64_t p, Range ks,
                                         acc_t<T>* scratch, T* packed) const {
  const Range rows{ks.first * kVnniBlock<T>, std::min(ks.last * kVnniBlock<T>, depth_)};
  transform_filter(tiles_, taps, p, rows, scratch);
  if constexpr (kVnniBlock<T> == 1) {
    return scratch;
  } else {
    static constexpr std::array<float, kMaxNr> kZeros{};
    const std::int64_t width = taps.width_of(p);
    T* to = packed;
    for (int point = 0; point < tiles_.points(); ++point) {
      const float* from = scratch + point * rows.size() * width;
      for (std::int64_t row = 0; row < rows.size(); row += 2, from += 2 * width, to += width)
        kernels<T>().interleave(from, row + 1 < rows.size() ? from + width : kZeros.data(), width, to);
    }
    return packed;
  }
}

template <class T>
const T* TransformedFilter<T>::panel(std::int64_t group, std::int64_t p, Range ks, acc_t<T>* scratch, T* packed) const {
  if (kept_) return transformed_of(group, packed_->data.template mutable_data<T>()).panel(p);
  return to_packed(taps_of(group, packed_->data.template mutable_data<acc_t<T>>()), p, ks, scratch, packed);
}

template class TransformedFilter<float>;
template class TransformedFilter<double>;
template class TransformedFilter<Bf16Pair>;

#define DYGRAD_WEIGHTS_OF(T)                                                                                          \
  template void pack_filter(const Conv2DSizes&, const Tiles&, std::int64_t, const T*, const StackedPanels<T>&, bool); \
  template void unpack_filter(const Conv2DSizes&, const Tiles&, std::int64_t, const std::vector<StackedPanels<T>>&,   \
                              T*);                                                                                    \
  template void transform_filter(const Tiles&, const StackedPanels<T>&, std::int64_t, Range, T*);                     \
  template void transform_filter_adjoint(const Tiles&, const T*, std::int64_t, const StackedPanels<T>&);
DYGRAD_WEIGHTS_OF(float)
DYGRAD_WEIGHTS_OF(double)
#undef DYGRAD_WEIGHTS_OF

}  // namespace dygrad::native
