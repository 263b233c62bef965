// Kernels that look at whole lines along one axis: softmax and its relatives. For the .cpp files of autograd/ops.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <dygrad/core/strided_loop.h>
#include <dygrad/core/view.h>

namespace dygrad::raw {

/// The line of a tensor's elements along an axis.
template <class T>
struct Line {
  T* first;
  std::int64_t step;
  T& operator[](std::int64_t i) const { return first[i * step]; }
};

/// The tensor with only the first index along the axis.
inline Tensor first_slice(const Tensor& x, int axis) {
  Shape shape = x.shape();
  shape[axis] = 1;
  return view::strided(x, shape, x.strides(), x.impl()->offset);
}

/// Calls f(Line<Elements>...) for corresponding lines of tensors that differ at most in their extent along the axis.
/// The first is written, hence not const. Lines are shared out over threads.
template <class... Elements, class F, class... Tensors>
void for_each_line(int axis, const F& f, const Tensors&... x) {
  const auto run = [&]<std::size_t... I>(std::index_sequence<I...>) {
    const std::array<Tensor, sizeof...(I)> starts{first_slice(x, axis)...};
    const StridedLoop loop({&starts[I]...});
    const std::int64_t length = std::max({x.shape()[axis]...});
    loop.run(
        [&](const StridedLoop::Offsets& at, std::int64_t n) {
          for (std::int64_t i = 0; i < n; ++i) {
            f(Line<Elements>{
                x.template mutable_data<std::remove_const_t<Elements>>() + at[I] + i * loop.inner_stride(I),
                x.strides()[axis]}...);
          }
        },
        std::max<std::int64_t>(kElementwiseGrain / 8 / std::max<std::int64_t>(length, 1), 1));
  };
  if ((... && (x.num_elements() > 0))) run(std::index_sequence_for<Tensors...>{});
}

template <class T>
T largest_of(Line<const T> x, std::int64_t n) {
  T largest = x[0];
  for (std::int64_t i = 1; i < n; ++i) largest = x[i] > largest || x[i] != x[i] ? x[i] : largest;
  return largest;
}

/// out = exp(x - largest) / sum(exp(x - largest)). float32 sums in float64.
template <class T>
void softmax_line(Line<T> out, Line<const T> x, std::int64_t n) {
  const T largest = largest_of(x, n);
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = std::exp(x[i] - largest);
    total += static_cast<double>(out[i]);
  }
  const T scale = static_cast<T>(1 / total);
  for (std::int64_t i = 0; i < n; ++i) out[i] *= scale;
}

/// The largest of n >= 1 elements, and the sum of exp(x - largest).
template <class T>
struct ExpSum {
  T largest;
  double sum = 0;

  ExpSum(Line<const T> x, std::int64_t n) : largest(largest_of(x, n)) {
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(std::exp(x[i] - largest));
  }
};

}  // namespace dygrad::raw
