// map: applies a scalar function to every element of one to three tensors. Ops write their forward with it:
//   Tensor forward(const Tensor& x) { return raw::map("exp", [](auto v) { return std::exp(v); }, x); }
// For the library's own .cpp files; inputs must have equal shapes (broadcasting is an Expand op before this).
#pragma once

#include <cassert>
#include <string_view>
#include <utility>

#include <dygrad/core/copy.h>
#include <dygrad/core/strided_loop.h>

namespace dygrad::raw {

namespace detail {

/// One run of n neighbours.
template <class Out, class... In, class F, std::size_t... I>
void map_run(F f, std::index_sequence<I...>, const StridedLoop& loop, std::int64_t n, Out* y, const In*... x) {
  if (loop.inner_stride(0) == 1 && (... && (loop.inner_stride(I + 1) == 1))) {
    DYGRAD_IVDEP
    for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<Out>(f(x[i]...));
  } else {
    const std::int64_t step = loop.inner_stride(0);
    const std::int64_t steps[] = {loop.inner_stride(I + 1)..., 0};
    (void)steps;
    for (std::int64_t i = 0; i < n; ++i) y[i * step] = static_cast<Out>(f(x[i * steps[I]]...));
  }
}

template <class Out, class F, std::size_t... I, class... In>
void map_loop(const StridedLoop& loop, const F& f, std::index_sequence<I...> operands, Out* y, const In*... x) {
  loop.run([&](const StridedLoop::Offsets& at, std::int64_t n) {
    map_run<Out, In...>(f, operands, loop, n, y + at[0], (x + at[I + 1])...);
  });
}

}  // namespace detail

/// out[i] = f(in[i]...), elements read as In and written as Out. `out` may be one of the inputs.
template <class Out, class... In, class F, class... Tensors>
void map_into(const F& f, const Tensor& out, const Tensors&... in) {
  static_assert(sizeof...(In) == sizeof...(Tensors));
  detail::map_loop<Out>(StridedLoop({&out, &in...}), f, std::index_sequence_for<In...>{}, out.mutable_data<Out>(),
                        in.template data<In>()...);
}

namespace detail {
// T for every operand: turns the list of tensors into a list of equal types.
template <class T, class>
using Same = T;

/// The operand whose memory order a result follows: the first dense one, not an expanded view.
template <class... Tensors>
const Tensor& leading(const Tensor& first, const Tensors&... rest) {
  if constexpr (sizeof...(rest) > 0) {
    const Tensor* dense = nullptr;
    for (const Tensor* x : {&first, &rest...}) {
      if (!dense && (x->is_contiguous() || x->is_contiguous(MemoryFormat::channels_last))) dense = x;
    }
    if (dense) return *dense;
  }
  return first;
}

template <class T, class Out, class F, class... Tensors>
Tensor map_same(const F& f, const Tensor& first, const Tensors&... rest) {
  Tensor out = empty_like(leading(first, rest...), dtype_of<Out>());
  map_into<Out, T, Same<T, Tensors>...>(f, out, first, rest...);
  return out;
}
}  // namespace detail

/// A fresh tensor of f(x[i]...) for float32 or float64 inputs of one dtype. Throws DtypeError naming `op`.
template <class F, class... Tensors>
Tensor map(std::string_view op, const F& f, const Tensor& first, const Tensors&... rest) {
  return dispatch_float(first.dtype(), op, [&]<class T>() { return detail::map_same<T, T>(f, first, rest...); });
}

/// As map, for int64 and uint8 too.
template <class F, class... Tensors>
Tensor map_numeric(std::string_view op, const F& f, const Tensor& first, const Tensors&... rest) {
  return dispatch_numeric(first.dtype(), op, [&]<class T>() { return detail::map_same<T, T>(f, first, rest...); });
}

/// A fresh bool tensor of f(x[i]...) for inputs of one dtype, any.
template <class F, class... Tensors>
Tensor map_to_bool(const F& f, const Tensor& first, const Tensors&... rest) {
  return dispatch_all(first.dtype(), [&]<class T>() { return detail::map_same<T, bool>(f, first, rest...); });
}

}  // namespace dygrad::raw
