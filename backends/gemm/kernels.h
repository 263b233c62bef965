// The kernels of the gemm backend on dense arrays: activations channels-last, weights [C, kh, kw, O/G]. In terms of the
// column matrix of columns.h, with matrices x [positions, C/G], weights [C/G, taps*O/G]:
//   conv2d_transpose          columns = x * weights,             then scatter into y
//   conv2d     gather from y,  then           x = columns * weights^T
//   conv2d_weights  gather from y,  then     weights = x^T * columns
// Every function writes its whole result. No extent may be 0.
#pragma once

#include <dygrad/backends/common/conv2d_sizes.h>

namespace dygrad::gemm {

template <class T>
void conv2d_transpose(const Conv2DSizes& s, const T* x, const T* weights, T* y);
template <class T>
void conv2d(const Conv2DSizes& s, const T* y, const T* weights, T* x);
template <class T>
void conv2d_weights(const Conv2DSizes& s, const T* x, const T* y, T* weights);

}  // namespace dygrad::gemm
