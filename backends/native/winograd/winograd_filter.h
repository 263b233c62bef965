// The filter transform: weights packed as panels of every tap of a sub-kernel, which become panels of every point just
// before they are multiplied. See winograd_transforms.h.
#pragma once

#include <dygrad/backends/native/packing/panels.h>
#include <dygrad/backends/native/packing/prepacked.h>
#include <dygrad/backends/native/winograd/winograd_tiles.h>

namespace dygrad::native {

/// Several matrices [K = depth, N], for each tap or point one: panel by panel, then matrix by matrix.
template <class T>
struct StackedPanels {
  std::int64_t matrices, depth, n;
  T* data;
  std::int64_t width = kernels<T>().nr(), count = ceil_div(n, width);
  std::int64_t last_width = Panels<T>{depth, n, nullptr}.width_of(count - 1);

  std::int64_t width_of(std::int64_t p) const { return p + 1 < count ? width : last_width; }
  T* panel(std::int64_t p) const { return data + p * width * depth * matrices; }
  /// Elements of one matrix in a panel.
  std::int64_t panel_size(std::int64_t p) const { return depth * width_of(p); }
  /// Where a column of one panel lies.
  T* at(std::int64_t p, std::int64_t matrix, std::int64_t row, std::int64_t column) const {
    return panel(p) + (matrix * depth + row) * width_of(p) + column;
  }
  static std::int64_t size(std::int64_t matrices, std::int64_t depth, std::int64_t n) {
    return matrices * panels_size<T>(depth, n);
  }
};

/// Packs the taps of one group of row-major weights [C, O/groups, kh, kw]: K runs over channels of x and N over columns
/// of y, (row sub-kernel, column sub-kernel, filter), as in fwd; or the other way round, as in bwd_data.
template <class T>
void pack_filter(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group, const T* weights,
                 const StackedPanels<T>& taps, bool columns_are_channels);

/// The inverse, for N over columns of y: writes one group of w from the sum of some panels.
template <class T>
void unpack_filter(const Conv2DSizes& s, const Tiles& tiles, std::int64_t group,
                   const std::vector<StackedPanels<T>>& parts, T* weights);

/// G g of these rows of one panel of taps; and its adjoint G^T, of all rows.
template <class T>
void transform_filter(const Tiles& tiles, const StackedPanels<T>& taps, std::int64_t panel, Range rows, T* points);
template <class T>
void transform_filter_adjoint(const Tiles& tiles, const T* points, std::int64_t panel, const StackedPanels<T>& taps);

// Note [Transformed filters]
// There are more points than taps. Small filters are kept in the transform domain; of large ones a part of a panel at a
// time is transformed just before it is multiplied with a block of tiles: as much as stays in L2.

/// The weights of fwd or bwd_data in the transform domain.
template <class T>
class TransformedFilter {
 public:
  TransformedFilter(const Algorithm& algorithm, const Conv2DSizes& s, const Tiles& tiles, const Tensor& w,
                    bool forward);

  bool kept() const { return kept_; }
  const Magnitude& magnitude() const { return packed_->magnitude; }
  /// Workspace that panel() needs, in accumulators and in packed elements.
  std::int64_t scratch_size() const { return kept_ ? 0 : tiles_.points() * depth_at_once_ * kVnniBlock<T> * kMaxNr; }
  std::int64_t packed_size() const { return kept_ || kVnniBlock<T> == 1 ? 0 : scratch_size(); }
  /// Elements of depth that panel() takes at a time.
  std::int64_t depth_at_once() const { return depth_at_once_; }
  /// A part of one panel at all points, packed as [points, ks.size(), width].
  const T* panel(std::int64_t group, std::int64_t p, Range ks, acc_t<T>* scratch, T* packed) const;

 private:
  StackedPanels<T> transformed_of(std::int64_t group, T* data) const;
  StackedPanels<acc_t<T>> taps_of(std::int64_t group, acc_t<T>* data) const;
  const T* to_packed(const StackedPanels<acc_t<T>>& taps, std::int64_t p, Range ks, acc_t<T>* scratch, T* packed) const;

  const Tiles& tiles_;
  std::int64_t depth_, n_, depth_at_once_;
  bool kept_;
  Ref<PrepackedWeights> packed_;
};

}  // namespace dygrad::native
