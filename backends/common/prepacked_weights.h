// The cache of prepacked weights: weights reordered to the layouts of algorithms, kept beside the weights themselves.
// For the .cpp files of backends/.
//
// Note [Prepacked weights]
// Prepacked weights hang on the backend slot of the weights' storage, so that they die with them. They are valid for
// one version of the storage, one view on it and one layout. An in-place change bumps the version, which empties the
// slot; the next use reorders anew.
//
// A reordered weight is cached on its second use: in most training steps each is used once before the optimizer changes
// the weights; kept, they would take as much memory as two more sets of weights, while a second reorder of weights that
// stay costs little beside all further uses.
#pragma once

#include <cstddef>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Most layouts kept per storage: both directions, for two groups of shapes with different layouts, and how
/// large the weights are.
inline constexpr std::size_t kPrepackedPerStorage = 5;

/// Weights in some layout. Algorithms derive from it and compare what their layout depends on.
class Prepacked : public RefCounted {
 public:
  /// True if this is the layout that `wanted` describes; of the same dynamic type or not.
  virtual bool is(const Prepacked& wanted) const = 0;
};

/// The prepacked form of w that equals `wanted`, if one is kept, or null. Thread-safe, like the next.
Ref<Prepacked> find_prepacked(const Tensor& w, const Prepacked& wanted);
/// Keeps `made` if the same was wanted before; else keeps `wanted` as a placeholder without data.
void keep_prepacked(const Tensor& w, Ref<Prepacked> wanted, Ref<Prepacked> made);
/// Keeps at once what takes no memory to speak of.
void keep_small(const Tensor& w, Ref<Prepacked> made);

}  // namespace dygrad
