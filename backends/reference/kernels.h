// The loops of the reference backend on dense row-major arrays. Every function writes its whole result. Sums are those
// of row_of_sums.h.
#pragma once

#include <cstdint>

#include <dygrad/backends/common/conv2d_sizes.h>

namespace dygrad::reference {

/// y[n, g*O/G + o, h*sh + i*dh - ph, w*sw + j*dw - pw] = sum of x[n, c, h, w] * weights[c, o, i, j], c in group g.
template <class T>
void conv2d_transpose(const Conv2DSizes& s, const T* x, const T* weights, T* y);

/// x[n, c, h, w] = sum of y[n, g*O/G + o, h*sh + i*dh - ph, w*sw + j*dw - pw] * weights[c, o, i, j].
template <class T>
void conv2d(const Conv2DSizes& s, const T* y, const T* weights, T* x);

/// weights[c, o, i, j] = sum of x[n, c, h, w] * y[n, g*O/G + o, h*sh + i*dh - ph, w*sw + j*dw - pw].
template <class T>
void conv2d_weights(const Conv2DSizes& s, const T* x, const T* y, T* weights);

/// c[b, m, n] = sum over k of a[b, m, k] * b[b, k, n].
template <class T>
void matmul(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, const T* a, const T* b, T* c);

}  // namespace dygrad::reference
