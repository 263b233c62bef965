// Operands as the elements that tiles multiply: numbers as they are, or pairs of bfloat16 rounded from float32; see
// Note [Pairs of bfloat16]. Every algorithm of convolution is written once for all of them.
#pragma once

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad::native {

inline Tensor channels_last(const Tensor& x) { return kernel::contiguous(x, MemoryFormat::channels_last); }
inline Tensor row_major(const Tensor& w) { return kernel::contiguous(w, MemoryFormat::row_major); }

/// Numbers in one element.
template <class T>
inline constexpr std::int64_t kFactors = 1;
template <>
inline constexpr std::int64_t kFactors<Bf16Pair> = 2;

/// Elements that take `count` numbers; the last one is filled up with 0.
template <class T>
constexpr std::int64_t elements_for(std::int64_t count) {
  return (count + kFactors<T> - 1) / kFactors<T>;
}

/// One number of an element.
template <class T>
struct NumberOf {
  using Type = T;
};
template <>
struct NumberOf<Bf16Pair> {
  using Type = std::uint16_t;
};
template <class T>
using Number = typename NumberOf<T>::Type;

/// Memory for `count` elements: a tensor of another dtype where none has this name.
template <class T>
Tensor memory_for(std::int64_t count) {
  static_assert(sizeof(Bf16Pair) == sizeof(float));
  if constexpr (kFactors<T> == 1) return Tensor::empty({count}, dtype_of<T>());
  else return Tensor::empty({count}, DType::float32);
}

/// A channels-last image in elements along the channels of each group, which D and B sum over.
template <class T>
Tensor factors_of_channels(const Tensor& image, std::int64_t /*groups*/) {
  return channels_last(image);
}
template <>
Tensor factors_of_channels<Bf16Pair>(const Tensor& image, std::int64_t groups);

/// A channels-last image in elements along the batch, which W sums over: half as many images.
template <class T>
Tensor factors_of_batch(const Tensor& image) {
  return channels_last(image);
}
template <>
Tensor factors_of_batch<Bf16Pair>(const Tensor& image);

/// Row-major weights as numbers of elements.
template <class T>
Tensor numbers_of_weights(const Tensor& w) {
  return row_major(w);
}
template <>
Tensor numbers_of_weights<Bf16Pair>(const Tensor& w);

}  // namespace dygrad::native
