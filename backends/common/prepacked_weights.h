// Weights in the layouts that algorithms want, kept beside the weights themselves. For the .cpp files of backends/.
//
// Note [Converted weights]
// A conversion hangs on the backend slot of the weights' storage, so that it dies with them. It is valid for one
// version of the storage, one view on it and one wanted layout. An in-place change bumps the version, which
// empties the slot; the next use converts anew.
//
// Only what is wanted a second time is kept. In most training steps each conversion is used once before the optimizer
// changes the weights; kept, they would take as much memory as two more sets of weights, while a second conversion of
// weights that stay costs little beside all further uses.
#pragma once

#include <cstddef>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Most conversions kept per storage: both directions, for two groups of shapes that want different layouts, and how
/// large the weights are.
inline constexpr std::size_t kConversionsPerStorage = 5;

/// What a conversion leads to. Algorithms derive from it and compare what they need.
class Conversion : public RefCounted {
 public:
  /// True if this is the layout that `wanted` describes; of the same dynamic type or not.
  virtual bool is(const Conversion& wanted) const = 0;
};

/// The conversion of w that equals `wanted`, if one is kept, or null. Thread-safe, like the next.
Ref<Conversion> find_conversion(const Tensor& w, const Conversion& wanted);
/// Keeps `made` if the same was wanted before; else keeps only `wanted`, as a note, which should hold no memory.
void keep_conversion(const Tensor& w, Ref<Conversion> wanted, Ref<Conversion> made);
/// Keeps at once what takes no memory to speak of.
void keep_small_conversion(const Tensor& w, Ref<Conversion> made);

}  // namespace dygrad
