// Weights in the order in which tiles read them: panels of every tap of a phase, which become panels of every point
// just before they are multiplied. See transforms.h.
#pragma once

#include <dygrad/backends/native/packing/operands.h>
#include <dygrad/backends/native/winograd/winograd_tiles.h>

namespace dygrad::native {

/// Several matrices [depth, lanes], one for each tap or each point: panel by panel, and in each panel matrix by matrix.
template <class T>
struct StackedPanels {
  std::int64_t matrices, depth, lanes;
  T* data;
  std::int64_t width = kernels<T>().panel(), count = ceil_div(lanes, width);
  std::int64_t last_width = Panels<T>{depth, lanes, nullptr}.width_of(count - 1);

  std::int64_t width_of(std::int64_t p) const { return p + 1 < count ? width : last_width; }
  T* panel(std::int64_t p) const { return data + p * width * depth * matrices; }
  /// Numbers of one matrix in a panel.
  std::int64_t panel_size(std::int64_t p) const { return depth * width_of(p); }
  /// Where a lane of one panel lies.
  T* at(std::int64_t p, std::int64_t matrix, std::int64_t row, std::int64_t lane) const {
    return panel(p) + (matrix * depth + row) * width_of(p) + lane;
  }
  static std::int64_t size(std::int64_t matrices, std::int64_t depth, std::int64_t lanes) {
    return matrices * panels_size<T>(depth, lanes);
  }
};

/// The taps of one group of row-major weights [C, O/groups, kh, kw]: depth runs over channels of x and lanes over those
/// of y, (row phase, column phase, filter), which D multiplies; or the other way round, which B multiplies.
template <class T>
void weights_to_taps(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group, const T* weights,
                     const StackedPanels<T>& taps, bool lanes_are_channels);

/// The inverse, for lanes of y: writes one group of w from the sum of some panels.
template <class T>
void taps_to_weights(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group,
                     const std::vector<StackedPanels<T>>& parts, T* weights);

/// These rows of one panel of taps at points; and the adjoint of that, for all rows.
template <class T>
void panel_to_points(const Tiles& tiles, const StackedPanels<T>& taps, std::int64_t panel, Range rows, T* points);
template <class T>
void panel_to_taps(const Tiles& tiles, const T* points, std::int64_t panel, const StackedPanels<T>& taps);

// Note [Weights at points]
// There are more points than taps. Small weights are kept at points; of large ones a part of a panel at a time is
// brought there, just before it is multiplied with a block of tiles: as much as stays in the second-level cache.

/// The weights of D or B, ready to be multiplied with tiles.
template <class T>
class TileWeights {
 public:
  TileWeights(const Algorithm& algorithm, const Conv2DSizes& s, const Tiles& tiles, const Tensor& w, bool of_d);

  bool kept() const { return kept_; }
  const Magnitude& magnitude() const { return packed_->magnitude; }
  /// Scratch memory that panel() needs.
  std::int64_t num_numbers() const { return kept_ ? 0 : tiles_.points() * depth_at_once_ * kFactors<T> * kMaxPanel; }
  std::int64_t num_elements() const { return kept_ || kFactors<T> == 1 ? 0 : num_numbers(); }
  /// Elements of depth that panel() takes at a time.
  std::int64_t depth_at_once() const { return depth_at_once_; }
  /// A part of one panel at all points, as elements [points, ks.size(), width].
  const T* panel(std::int64_t group, std::int64_t p, Range ks, Sum<T>* numbers, T* elements) const;

 private:
  StackedPanels<T> points_of(std::int64_t group, T* data) const;
  StackedPanels<Sum<T>> taps_of(std::int64_t group, Sum<T>* data) const;
  const T* to_elements(const StackedPanels<Sum<T>>& taps, std::int64_t p, Range ks, Sum<T>* numbers, T* elements) const;

  const Tiles& tiles_;
  std::int64_t depth_, lanes_, depth_at_once_;
  bool kept_;
  Ref<PackedWeights> packed_;
};

}  // namespace dygrad::native
