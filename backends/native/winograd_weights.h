// Weights at the points of tiles, in panels, and back. See transforms.h.
#pragma once

#include <dygrad/backends/native/panels.h>
#include <dygrad/backends/native/winograd_tiles.h>

namespace dygrad::native {

/// One matrix [depth, lanes] for each point: panel by panel, and in each panel point by point.
template <class T>
struct PointPanels {
  std::int64_t points, depth, lanes;
  T* data;

  Panels<T> of_one_point() const { return {depth, lanes, data}; }
  T* panel(std::int64_t p, std::int64_t point) const {
    const Panels<T> one = of_one_point();
    return data + p * kernels<T>().panel() * depth * points + point * depth * one.width_of(p);
  }
  static std::int64_t size(std::int64_t points, std::int64_t depth, std::int64_t lanes) {
    return points * panels_size<T>(depth, lanes);
  }
};

/// Of one group of row-major weights [C, O/groups, kh, kw]: depth runs over channels of x and lanes over those of y,
/// (row phase, column phase, filter), which D multiplies; or the other way round, which B multiplies.
template <class T>
void weights_to_points(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group, const T* weights,
                       const PointPanels<T>& to, bool lanes_are_channels);

/// Pairs of rows of such panels, rounded to bfloat16: half as deep.
void round_points(const PointPanels<float>& from, const PointPanels<Bf16Pair>& to);

/// The adjoint of weights_to_points, for lanes of y: writes one group of w from the sum of some panels.
template <class T>
void points_to_weights(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group,
                       const std::vector<PointPanels<T>>& parts, T* weights);

}  // namespace dygrad::native
