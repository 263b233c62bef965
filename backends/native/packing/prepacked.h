// Weights packed for an algorithm of this backend, and kept beside them; see Note [Prepacked weights].
#pragma once

#include <array>
#include <type_traits>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/common/prepacked_weights.h>
#include <dygrad/backends/native/packing/bf16_packing.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::native {

/// What else an algorithm's layout of weights depends on, beside them and what PrepackedWeights knows: extents of
/// images, say.
using PrepackedLayout = std::array<std::int64_t, 3>;

/// Weights that `algorithm` packed for these sizes.
struct PrepackedWeights final : Prepacked {
  const Algorithm* algorithm;
  std::array<std::int64_t, 7> geometry;  ///< groups, stride, dilation, padding modulo the stride
  PrepackedLayout layout;
  Tensor data;          ///< in the algorithm's layout and element type
  Magnitude magnitude;  ///< of what was packed

  PrepackedWeights(const Algorithm* a, const Conv2DSizes& s, const PrepackedLayout& l)
      : algorithm(a), geometry{s.groups, s.sh, s.sw, s.dh, s.dw, s.ph % s.sh, s.pw % s.sw}, layout(l) {}
  bool is(const Prepacked& other) const override {
    const auto* o = dynamic_cast<const PrepackedWeights*>(&other);
    return o && algorithm == o->algorithm && geometry == o->geometry && layout == o->layout;
  }
};

/// w packed for this algorithm: found, or made of `size` elements T that fill(from, to) writes. `from` are the
/// row-major weights, rounded to scalars of T, or as they are where From is their dtype.
template <class T, class From = scalar_t<T>, class Fill>
Ref<PrepackedWeights> prepacked_weights(const Algorithm& algorithm, const Conv2DSizes& s, const Tensor& w,
                                        std::int64_t size, const Fill& fill, const PrepackedLayout& layout = {}) {
  Ref<PrepackedWeights> wanted = make_ref<PrepackedWeights>(&algorithm, s, layout);
  if (const Ref<Prepacked> found = find_prepacked(w, *wanted)) {
    return Ref<PrepackedWeights>(static_cast<PrepackedWeights*>(found.get()));
  }
  Ref<PrepackedWeights> made = make_ref<PrepackedWeights>(&algorithm, s, layout);
  made->data = empty_packed<T>(size);
  const Tensor plain = std::is_same_v<From, scalar_t<T>> ? round_weights<T>(w) : row_major(w);
  made->magnitude = magnitude_of_weights(w);
  fill(plain.data<From>(), made->data.mutable_data<T>());
  keep_prepacked(w, std::move(wanted), made);
  return made;
}

}  // namespace dygrad::native
