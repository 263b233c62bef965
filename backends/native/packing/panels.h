// Weights packed in the order in which microkernels read them.
#pragma once

#include <limits>
#include <vector>

#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/packing/bf16_packing.h>

namespace dygrad::native {

/// The matrix B [K = depth, N], in VNNI pairs where T is one, cut into panels of NR columns, each stored row by
/// row. The last panel is one or two vectors wide and padded with zeros.
template <class T>
struct Panels {
  std::int64_t depth = 0, n = 0;
  const T* data = nullptr;

  std::int64_t count() const { return (n + kernels<T>().nr() - 1) / kernels<T>().nr(); }
  const T* panel(std::int64_t p) const { return data + p * kernels<T>().nr() * depth; }
  std::int64_t columns_of(std::int64_t p) const {
    return std::min<std::int64_t>(kernels<T>().nr(), n - p * kernels<T>().nr());
  }
  int vectors_of(std::int64_t p) const { return columns_of(p) > kernels<T>().lanes ? 2 : 1; }
  std::int64_t width_of(std::int64_t p) const { return vectors_of(p) * kernels<T>().lanes; }
};

/// Elements that the panels of such a matrix take.
template <class T>
std::int64_t panels_size(std::int64_t depth, std::int64_t n) {
  const std::int64_t vector = kernels<T>().lanes;
  return depth * ((n + vector - 1) / vector * vector);
}

/// One row of such a matrix. Its scalar in column j is source[offset + column_offsets[j]], or 0 where that is
/// kZero; pairs have their second one from `second`, which may be kZero as well.
struct PanelRow {
  std::int64_t row, offset, second;
};
inline constexpr std::int64_t kZero = std::numeric_limits<std::int64_t>::min();  // -1 is an offset of flipped views

/// Packs `rows` into panels; fastest if sorted by source offset.
template <class T>
Panels<T> pack_panels(const scalar_t<T>* source, const std::vector<PanelRow>& rows,
                      const std::vector<std::int64_t>& column_offsets, T* data);

}  // namespace dygrad::native
