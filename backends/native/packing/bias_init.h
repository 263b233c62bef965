// Biases in the layout of accumulators.
#pragma once

#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::native {

/// Biases as initial values of microkernel tiles: those of each group, `times` over, padded to whole panels with 0.
/// Null without bias.
template <class T>
class BiasInit {
 public:
  BiasInit(const Tensor& bias, std::int64_t groups, std::int64_t n, std::int64_t times = 1)
      : stride_((n * times + kernels<T>().nr() - 1) / kernels<T>().nr() * kernels<T>().nr()) {
    if (!bias.defined()) return;
    values_ = Tensor::empty({groups * stride_}, dtype_of<T>());
    const Tensor dense = kernel::contiguous(bias);
    const T* from = dense.data<T>();
    T* to = values_.mutable_data<T>();
    for (std::int64_t group = 0; group < groups; ++group) {
      for (std::int64_t i = 0; i < stride_; ++i)
        to[group * stride_ + i] = i < n * times ? from[group * n + i % n] : T{0};
    }
  }
  const T* of_group(std::int64_t group) const {
    return values_.defined() ? values_.data<T>() + group * stride_ : nullptr;
  }

 private:
  std::int64_t stride_;
  Tensor values_;
};

}  // namespace dygrad::native
