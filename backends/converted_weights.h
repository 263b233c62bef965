// Weights in the layouts that algorithms want, kept beside the weights themselves. For the .cpp files of backends/.
//
// Note [Converted weights]
// A conversion hangs on the backend slot of the weights' storage, so that it dies with them. It is valid for one
// version of the storage, one view on it and one wanted layout. An in-place change bumps the version; the next use
// converts anew and drops what belongs to older versions.
#pragma once

#include <cstddef>

#include <dygrad/core/tensor.h>

namespace dygrad {

/// Most conversions kept per storage: both directions, for two groups of shapes that want different layouts.
inline constexpr std::size_t kConversionsPerStorage = 4;

/// What a conversion leads to. Algorithms derive from it and compare what they need.
class Conversion : public RefCounted {
 public:
  /// True if this is the layout that `wanted` describes; of the same dynamic type or not.
  virtual bool is(const Conversion& wanted) const = 0;
};

/// The conversion of w that equals `wanted`, or null. Thread-safe, like the next.
Ref<Conversion> find_conversion(const Tensor& w, const Conversion& wanted);
void keep_conversion(const Tensor& w, Ref<Conversion> made);
/// Drops conversions of older versions, so that a new one may take their memory.
void drop_stale_conversions(const Tensor& w);

}  // namespace dygrad
