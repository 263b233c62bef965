// Sums of large windows, one direction at a time. For avg_pool2d.
#pragma once

#include <cstdint>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// Windows along one dimension: number o holds elements o * stride - padding, ... , as many as `size`, that exist.
struct WindowAxis {
  int dim;
  std::int64_t size, stride, padding;
};

/// y[.., o, ..] = sum of x over window o. Both have the axis' dimension, and agree in all others.
void sum_windows(const WindowAxis& axis, const Tensor& x, const Tensor& y);
/// The adjoint: x[.., i, ..] = sum of y over the windows that hold element i.
void sum_covering_windows(const WindowAxis& axis, const Tensor& y, const Tensor& x);

}  // namespace dygrad::detail
