#include <dygrad/backends/native/packing/panels.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include <dygrad/core/base/parallel.h>

namespace dygrad::native {

namespace {

/// Most rows packed at once.
constexpr std::size_t kRowsAtOnce = 16;

/// Where groups of rows begin that share about one cache line of the source, which is then read once for all of them;
/// and where the last one ends.
std::vector<std::size_t> row_groups(const std::vector<PanelRow>& rows) {
  std::vector<std::size_t> starts{0};
  std::int64_t least = rows.empty() ? 0 : rows[0].offset, most = least;
  for (std::size_t i = 1; i < rows.size(); ++i) {
    least = std::min(least, rows[i].offset);
    most = std::max(most, rows[i].offset);
    if (i - starts.back() == kRowsAtOnce || most - least >= static_cast<std::int64_t>(kRowsAtOnce)) {
      starts.push_back(i);
      least = most = rows[i].offset;
    }
  }
  starts.push_back(rows.size());
  return starts;
}

/// The element of a row in one column.
template <class T>
inline T element(const scalar_t<T>* from, const PanelRow& row) {
  if constexpr (kVnniBlock<T> == 1) return from[row.offset];
  else return Bf16Pair{from[row.offset] | (row.second == kZero ? 0U : std::uint32_t{from[row.second]} << 16)};
}

/// The elements of rows in all columns, in a buffer first: the panel and the source may map to the same cache sets.
template <class T>
using RowBuffer = T[kRowsAtOnce][kMaxNr];

template <class T>
void read_rows(const scalar_t<T>* source, std::span<const PanelRow> rows, std::span<const std::int64_t> columns,
               RowBuffer<T>& buffer) {
  constexpr std::size_t kWorthTransposing = 4;  // rows
  if constexpr (kVnniBlock<T> == 1) {
    if (rows.size() >= kWorthTransposing) {
      // These rows lie within kRowsAtOnce elements: all elements there are transposed, and some of them taken.
      static constexpr T kZeros[kRowsAtOnce]{};
      std::array<const T*, kMaxNr> lines;
      const auto by_offset = [](const PanelRow& a, const PanelRow& b) { return a.offset < b.offset; };
      const auto [least, most] = std::minmax_element(rows.begin(), rows.end(), by_offset);
      for (std::size_t j = 0; j < columns.size(); ++j)
        lines[j] = columns[j] == kZero ? kZeros : source + columns[j] + least->offset;
      RowBuffer<T> transposed;
      kernels<T>().transpose(lines.data(), static_cast<std::int64_t>(columns.size()), most->offset - least->offset + 1,
                             transposed[0], kMaxNr);
      for (std::size_t i = 0; i < rows.size(); ++i)
        std::memcpy(buffer[i], transposed[rows[i].offset - least->offset], columns.size() * sizeof(T));
      return;
    }
  }
  for (std::size_t j = 0; j < columns.size(); ++j) {
    const bool zero = columns[j] == kZero;
    const scalar_t<T>* from = source + (zero ? 0 : columns[j]);
    for (std::size_t i = 0; i < rows.size(); ++i) buffer[i][j] = zero ? T{0} : element<T>(from, rows[i]);
  }
}

/// Fills some rows of a panel.
template <class T>
void fill_rows(const scalar_t<T>* source, std::span<const PanelRow> rows, std::span<const std::int64_t> columns,
               std::int64_t width, T* panel) {
  RowBuffer<T> buffer;
  read_rows(source, rows, columns, buffer);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::int64_t j = static_cast<std::int64_t>(columns.size()); j < width; ++j) buffer[i][j] = T{0};
    std::memcpy(panel + rows[i].row * width, buffer[i], static_cast<std::size_t>(width) * sizeof(T));
  }
}

}  // namespace

template <class T>
Panels<T> pack_panels(const scalar_t<T>* source, const std::vector<PanelRow>& rows,
                      const std::vector<std::int64_t>& column_offsets, T* data) {
  const Panels<T> panels{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(column_offsets.size()),
                         data};
  const std::int64_t panel = kernels<T>().nr();
  constexpr std::int64_t kWorthAThread = 1 << 14;
  const std::vector<std::size_t> groups = row_groups(rows);
  const auto num_groups = static_cast<std::int64_t>(groups.size()) - 1;
  const auto fill = [&](std::int64_t p, std::int64_t group) {
    const auto columns = std::span(column_offsets).subspan(p * panel, panels.columns_of(p));
    fill_rows<T>(source, std::span(rows).subspan(groups[group], groups[group + 1] - groups[group]), columns,
                 panels.width_of(p), data + p * panel * panels.depth);
  };
  // In the order of the source: adjacent columns are read row by row, columns far apart panel by panel.
  const bool columns_are_close = column_offsets.size() < 2 || rows.size() < 2 ||
                                 column_offsets[1] - column_offsets[0] <= rows.back().offset - rows.front().offset;
  if (columns_are_close && panels.count() < 2 * num_threads()) {
    parallel_for(num_groups, kWorthAThread / std::max<std::int64_t>(panels.n, 1) + 1,
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t group = first; group < last; ++group) {
                     for (std::int64_t p = 0; p < panels.count(); ++p) fill(p, group);
                   }
                 });
  } else if (columns_are_close) {
    // Panels are distributed over threads as where they will be read.
    parallel_for(panels.count(), kWorthAThread / std::max<std::int64_t>(1, panels.depth * panel) + 1,
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t group = 0; group < num_groups; ++group) {
                     for (std::int64_t p = first; p < last; ++p) fill(p, group);
                   }
                 });
  } else {
    parallel_for(panels.count(), kWorthAThread / std::max<std::int64_t>(1, panels.depth * panel) + 1,
                 [&](std::int64_t first, std::int64_t last) {
                   for (std::int64_t p = first; p < last; ++p) {
                     for (std::int64_t group = 0; group < num_groups; ++group) fill(p, group);
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
