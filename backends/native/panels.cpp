#include <dygrad/backends/native/panels.h>

#include <algorithm>
#include <cstring>
#include <span>

#include <dygrad/core/parallel.h>

namespace dygrad::native {

namespace {

/// Most rows filled at once.
constexpr std::size_t kRowsAtOnce = 16;

/// Where runs of rows begin that lie in about one cache line of the source, which is then read once for all of them;
/// and where the last one ends.
std::vector<std::size_t> runs_of(const std::vector<PanelRow>& rows) {
  std::vector<std::size_t> starts{0};
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const std::int64_t distance = rows[i].offset - rows[starts.back()].offset;
    if (i - starts.back() == kRowsAtOnce || distance < 0 || distance >= static_cast<std::int64_t>(kRowsAtOnce)) {
      starts.push_back(i);
    }
  }
  starts.push_back(rows.size());
  return starts;
}

/// What a row holds at one lane.
template <class T>
inline T element(const Number<T>* from, const PanelRow& row) {
  if constexpr (kFactors<T> == 1) return from[row.offset];
  else return Bf16Pair{from[row.offset] | (row.second == kZero ? 0U : std::uint32_t{from[row.second]} << 16)};
}

/// Fills some rows of a panel, in a buffer first: its lines and the source's may both fall onto the same cache sets.
template <class T>
void fill_rows(const Number<T>* source, std::span<const PanelRow> rows, std::span<const std::int64_t> lanes,
               std::int64_t width, T* panel) {
  T buffer[kRowsAtOnce][kMaxPanel];
  for (std::size_t j = 0; j < lanes.size(); ++j) {
    const bool zero = lanes[j] == kZero;
    const Number<T>* from = source + (zero ? 0 : lanes[j]);
    for (std::size_t i = 0; i < rows.size(); ++i) buffer[i][j] = zero ? T{0} : element<T>(from, rows[i]);
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::int64_t j = static_cast<std::int64_t>(lanes.size()); j < width; ++j) buffer[i][j] = T{0};
    std::memcpy(panel + rows[i].row * width, buffer[i], static_cast<std::size_t>(width) * sizeof(T));
  }
}

}  // namespace

template <class T>
Panels<T> pack_panels(const Number<T>* source, const std::vector<PanelRow>& rows,
                      const std::vector<std::int64_t>& lane_offsets, T* data) {
  const Panels<T> panels{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(lane_offsets.size()), data};
  const std::int64_t panel = kernels<T>().panel();
  constexpr std::int64_t kWorthAThread = 1 << 14;
  const std::vector<std::size_t> runs = runs_of(rows);
  const auto num_runs = static_cast<std::int64_t>(runs.size()) - 1;
  const auto fill = [&](std::int64_t p, std::int64_t run) {
    const auto lanes = std::span(lane_offsets).subspan(p * panel, panels.lanes_of(p));
    fill_rows<T>(source, std::span(rows).subspan(runs[run], runs[run + 1] - runs[run]), lanes, panels.width_of(p),
                 data + p * panel * panels.depth);
  };
  // Along the source: lanes that lie close together are read row by row, lanes that lie far apart panel by panel.
  const bool lanes_are_close = lane_offsets.size() < 2 || rows.size() < 2 ||
                               lane_offsets[1] - lane_offsets[0] <= rows.back().offset - rows.front().offset;
  if (lanes_are_close) {
    parallel_for(num_runs, kWorthAThread / std::max<std::int64_t>(panels.lanes, 1) + 1,
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t run = first; run < last; ++run) {
                     for (std::int64_t p = 0; p < panels.count(); ++p) fill(p, run);
                   }
                 });
  } else {
    parallel_for(panels.count(), kWorthAThread / std::max<std::int64_t>(1, panels.depth * panel) + 1,
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t p = first; p < last; ++p) {
                     for (std::int64_t run = 0; run < num_runs; ++run) fill(p, run);
                   }
                 });
  }
  return panels;
}

template Panels<float> pack_panels(const float*, const std::vector<PanelRow>&, const std::vector<std::int64_t>&,
                                   float*);
template Panels<Bf16Pair> pack_panels(const std::uint16_t*, const std::vector<PanelRow>&,
                                      const std::vector<std::int64_t>&, Bf16Pair*);
template Panels<double> pack_panels(const double*, const std::vector<PanelRow>&, const std::vector<std::int64_t>&,
                                    double*);

}  // namespace dygrad::native
