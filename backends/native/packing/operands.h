// What the algorithms share around their kernels: packed weights, biases, scratch memory, and the work
// cut into one piece per thread.
#pragma once

#include <array>
#include <type_traits>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/common/prepacked_weights.h>
#include <dygrad/backends/common/work.h>
#include <dygrad/backends/native/packing/panels.h>
#include <dygrad/core/memory/detail/block_cache.h>

namespace dygrad::native {

/// What else an algorithm's layout of weights depends on, beside them and what PackedWeights knows: extents of images,
/// say.
using PackedLayout = std::array<std::int64_t, 3>;

/// Weights that `algorithm` packed for these sizes.
struct PackedWeights final : Conversion {
  const Algorithm* algorithm;
  std::array<std::int64_t, 7> geometry;  ///< groups, stride, dilation, padding modulo the stride
  PackedLayout layout;
  Tensor numbers;       ///< as elements
  Magnitude magnitude;  ///< of what was packed

  PackedWeights(const Algorithm* a, const Conv2DSizes& s, const PackedLayout& l)
      : algorithm(a), geometry{s.groups, s.sh, s.sw, s.dh, s.dw, s.ph % s.sh, s.pw % s.sw}, layout(l) {}
  bool is(const Conversion& other) const override {
    const auto* o = dynamic_cast<const PackedWeights*>(&other);
    return o && algorithm == o->algorithm && geometry == o->geometry && layout == o->layout;
  }
};

/// The conversion of w for this algorithm: found, or made of `size` elements that fill(from, to) writes. `from` are the
/// row-major weights, as numbers of elements or as they are.
template <class T, class From = Number<T>, class Fill>
Ref<PackedWeights> packed_weights(const Algorithm& algorithm, const Conv2DSizes& s, const Tensor& w, std::int64_t size,
                                  const Fill& fill, const PackedLayout& layout = {}) {
  Ref<PackedWeights> wanted = make_ref<PackedWeights>(&algorithm, s, layout);
  if (const Ref<Conversion> found = find_conversion(w, *wanted)) {
    return Ref<PackedWeights>(static_cast<PackedWeights*>(found.get()));
  }
  Ref<PackedWeights> made = make_ref<PackedWeights>(&algorithm, s, layout);
  made->numbers = memory_for<T>(size);
  const Tensor plain = std::is_same_v<From, Number<T>> ? numbers_of_weights<T>(w) : row_major(w);
  made->magnitude = magnitude_of_weights(w);
  fill(plain.data<From>(), made->numbers.mutable_data<T>());
  keep_conversion(w, std::move(wanted), made);
  return made;
}

/// Biases as initial values of tiles: for each group its numbers, several times over, filled up to whole panels.
/// Null without bias.
template <class T>
class InitialValues {
 public:
  InitialValues(const Tensor& bias, std::int64_t groups, std::int64_t lanes, std::int64_t times = 1)
      : stride_((lanes * times + kernels<T>().panel() - 1) / kernels<T>().panel() * kernels<T>().panel()) {
    if (!bias.defined()) return;
    numbers_ = Tensor::empty({groups * stride_}, dtype_of<T>());
    const Tensor dense = kernel::contiguous(bias);
    const T* from = dense.data<T>();
    T* to = numbers_.mutable_data<T>();
    for (std::int64_t group = 0; group < groups; ++group) {
      for (std::int64_t i = 0; i < stride_; ++i)
        to[group * stride_ + i] = i < lanes * times ? from[group * lanes + i % lanes] : T{0};
    }
  }
  const T* of_group(std::int64_t group) const {
    return numbers_.defined() ? numbers_.data<T>() + group * stride_ : nullptr;
  }

 private:
  std::int64_t stride_;
  Tensor numbers_;
};

/// From one row of scratch memory to the next, for rows of at least so many numbers: an odd number of cache lines,
/// which keeps rows off each other's cache sets.
template <class T>
std::int64_t odd_lines(std::int64_t numbers) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  return ((numbers + kLine - 1) / kLine | 1) * kLine;
}

/// The least whole number of cache lines, as numbers.
template <class T>
std::int64_t whole_lines(std::int64_t numbers) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(T));
  return ceil_div(numbers, kLine) * kLine;
}

/// Scratch memory for each piece of work. It is asked for in few sizes, so that layers of all sizes share it; what a
/// layer does not use is never touched, and takes no memory.
template <class T>
class Scratch {
 public:
  Scratch(std::int64_t pieces, std::int64_t size)
      : stride_(whole_lines<T>(size)), memory_(memory_for<T>(shared_size(pieces * stride_))) {}
  T* of_piece(std::int64_t piece) const { return memory_.template mutable_data<T>() + piece * stride_; }

 private:
  static std::int64_t shared_size(std::int64_t size) {
    constexpr std::int64_t kLeast = (18 << 16) / sizeof(T), kStep = 4;  // 18 MiB hold most blocks of two threads
    if (size < kLeast || !detail::kCaching) return size;                // the address sanitizer sees where a block ends
    std::int64_t shared = kLeast;
    while (shared < size) shared *= kStep;
    return shared;
  }

  std::int64_t stride_;
  Tensor memory_;
};

/// Pieces worth making of this much work.
inline std::int64_t num_native_pieces(const Conv2DSizes& s) {
  constexpr double kWorthAThread = 4e5;  // products, about ten microseconds
  const double products =
      static_cast<double>(s.n * s.h * s.w) * static_cast<double>(s.c * s.filters_in_group() * s.taps());
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(products / kWorthAThread, 1e6)), 1, num_threads());
}

/// One thread's part of a matrix of results, cut between whole tiles: along panels where tiles are few, or where there
/// are more weights to read than pixels.
struct Share {
  Range positions, panels;
};
template <class T>
Share share_of(std::int64_t positions, std::int64_t panels, std::int64_t piece, std::int64_t pieces) {
  const std::int64_t height = kernels<T>().rows(), tiles = (positions + height - 1) / height;
  const bool mostly_weights = panels >= 2 * pieces && panels * kernels<T>().panel() > positions;
  if ((tiles < 2 * pieces && panels > tiles) || mostly_weights) {
    return {{0, positions}, part_of({0, panels}, piece, pieces)};
  }
  const Range own = part_of({0, tiles}, piece, pieces);
  return {{std::min(own.first * height, positions), std::min(own.last * height, positions)}, {0, panels}};
}

}  // namespace dygrad::native
