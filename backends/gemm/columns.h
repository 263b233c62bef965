// im2col and col2im on channels-last images, a tile at a time: the bridge between convolutions and matrix products.
// A column matrix has one row per input position (n, h, w) and one column per (i, j, o): kernel tap and output channel
// of one group. Row q of it lists the elements of y that input position q reaches:
//   columns[q, (i, j, o)]  <->  y[n, h*sh + i*dh - ph, w*sw + j*dw - pw, group*O/G + o]
#pragma once

#include <cstdint>

#include <dygrad/backends/common/conv2d_sizes.h>
#include <dygrad/backends/common/work.h>

namespace dygrad::gemm {

/// Writes columns[positions, taps] from y; positions outside y read as 0. `taps` number (i, j) as i * kw + j.
template <class T>
void gather_columns(const Conv2DSizes& s, const T* y, std::int64_t group, Range positions, Range taps, T* columns);

/// Adds columns[positions, all taps] into those rows of y that lie in `rows`, which number (n, oh) as n * OH + oh.
template <class T>
void scatter_columns(const Conv2DSizes& s, const T* columns, std::int64_t group, Range positions, Range rows, T* y);

/// The input positions that reach any of these rows of y.
Range positions_reaching(const Conv2DSizes& s, Range rows);

}  // namespace dygrad::gemm
