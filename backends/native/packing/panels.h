// Weights in the order in which tiles read them.
#pragma once

#include <limits>
#include <vector>

#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/packing/factors.h>

namespace dygrad::native {

/// A matrix [depth, lanes] of elements, which hold one or two rows of numbers, cut into panels of as many lanes as a
/// tile is wide, each stored row by row. The last panel is one or two vectors wide and filled up with zeros.
template <class T>
struct Panels {
  std::int64_t depth = 0, lanes = 0;
  const T* data = nullptr;

  std::int64_t count() const { return (lanes + kernels<T>().panel() - 1) / kernels<T>().panel(); }
  const T* panel(std::int64_t p) const { return data + p * kernels<T>().panel() * depth; }
  std::int64_t lanes_of(std::int64_t p) const {
    return std::min<std::int64_t>(kernels<T>().panel(), lanes - p * kernels<T>().panel());
  }
  int vectors_of(std::int64_t p) const { return lanes_of(p) > kernels<T>().lanes ? 2 : 1; }
  std::int64_t width_of(std::int64_t p) const { return vectors_of(p) * kernels<T>().lanes; }
};

/// Elements that panels of such a matrix take.
template <class T>
std::int64_t panels_size(std::int64_t depth, std::int64_t lanes) {
  const std::int64_t vector = kernels<T>().lanes;
  return depth * ((lanes + vector - 1) / vector * vector);
}

/// One row of such a matrix. Its number at a lane is source[offset + lane_offsets[lane]], or 0 where the lane's is
/// kZero; elements of two numbers have the second one from `second`, which may be kZero as well.
struct PanelRow {
  std::int64_t row, offset, second;
};
inline constexpr std::int64_t kZero = std::numeric_limits<std::int64_t>::min();  // -1 is an offset of flipped views

/// Fills panels of as many rows as are given, best in the order in which the source holds them.
template <class T>
Panels<T> pack_panels(const Number<T>* source, const std::vector<PanelRow>& rows,
                      const std::vector<std::int64_t>& lane_offsets, T* data);

}  // namespace dygrad::native
