// Operands as the elements T that microkernels multiply: scalars as they are, or VNNI pairs of bfloat16, rounded from
// float32; see Note [VNNI pairs]. Every algorithm of convolution is written once for all T.
#pragma once

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad::native {

inline Tensor channels_last(const Tensor& x) { return kernel::contiguous(x, MemoryFormat::channels_last); }
inline Tensor row_major(const Tensor& w) { return kernel::contiguous(w, MemoryFormat::row_major); }

/// VNNI block: scalars along K in one element.
template <class T>
inline constexpr std::int64_t kVnniBlock = 1;
template <>
inline constexpr std::int64_t kVnniBlock<Bf16Pair> = 2;

/// Elements that `count` scalars are packed into; the last one is padded with 0.
template <class T>
constexpr std::int64_t num_packed(std::int64_t count) {
  return (count + kVnniBlock<T> - 1) / kVnniBlock<T>;
}

/// One scalar of an element.
template <class T>
struct ScalarOf {
  using Type = T;
};
template <>
struct ScalarOf<Bf16Pair> {
  using Type = std::uint16_t;
};
template <class T>
using scalar_t = typename ScalarOf<T>::Type;

/// Memory for `count` elements: a tensor of another dtype where none has this name.
template <class T>
Tensor empty_packed(std::int64_t count) {
  static_assert(sizeof(Bf16Pair) == sizeof(float));
  if constexpr (kVnniBlock<T> == 1) return Tensor::empty({count}, dtype_of<T>());
  else return Tensor::empty({count}, DType::float32);
}

/// A channels-last image packed along the channels of each group, which are K of fwd and bwd_data.
template <class T>
Tensor pack_channels(const Tensor& image, std::int64_t /*groups*/) {
  return channels_last(image);
}
template <>
Tensor pack_channels<Bf16Pair>(const Tensor& image, std::int64_t groups);

/// A channels-last image packed along the batch, which is part of K of bwd_weights: half as many images.
template <class T>
Tensor pack_batch(const Tensor& image) {
  return channels_last(image);
}
template <>
Tensor pack_batch<Bf16Pair>(const Tensor& image);

/// Row-major weights rounded to scalars of T, not yet packed.
template <class T>
Tensor round_weights(const Tensor& w) {
  return row_major(w);
}
template <>
Tensor round_weights<Bf16Pair>(const Tensor& w);

}  // namespace dygrad::native
