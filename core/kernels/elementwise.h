// map: applies a scalar function to every element of one to three tensors. Ops write their forward with it:
//   Tensor forward(const Tensor& x) { return kernel::map("exp", [](auto v) { return std::exp(v); }, x); }
// Inputs must have equal shapes (broadcasting is an Expand op before this).
#pragma once

#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise_loop.h>
#include <dygrad/core/simd/vectorize.h>

namespace dygrad::kernel {

namespace detail {

// Reads a bool as a byte, which g++ 12 can vectorise.
template <class T>
using LoadType = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;

/// The one loop of a function: operands[0] is written, the others are read.
template <class Out, class F, class... In, std::size_t... I>
void map_span(const F& f, std::int64_t n, void* const* operands, std::index_sequence<I...>) {
  Out* y = static_cast<Out*>(operands[0]);
  const std::tuple<const LoadType<In>*...> x{static_cast<const LoadType<In>*>(operands[I + 1])...};
  vectorize([=] {
    DYGRAD_IVDEP
    for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<Out>(f(static_cast<In>(std::get<I>(x)[i])...));
  });
}

// Flattened: a call in the loop would prevent vectorisation.
template <class Out, class F, class... In>
[[gnu::flatten]] void map_kernel(const void* f, std::int64_t n, void* const* operands) {
  map_span<Out, F, In...>(*static_cast<const F*>(f), n, operands, std::index_sequence_for<In...>{});
}

}  // namespace detail

/// out[i] = f(in[i]...), elements read as In and written as Out. `out` may be one of the inputs.
template <class Out, class... In, class F, class... Tensors>
void map_into(const F& f, const Tensor& out, const Tensors&... in) {
  static_assert(sizeof...(In) == sizeof...(Tensors));
  const ElementwiseOperand operands[] = {out, in...};
  run_elementwise(&detail::map_kernel<Out, F, In...>, &f, operands);
}

namespace detail {
// T for every operand: turns the list of tensors into a list of equal types.
template <class T, class>
using Same = T;

template <class T, class Out, class F, class... Tensors>
Tensor map_same(const F& f, const Tensors&... in) {
  const Tensor* const inputs[] = {&in...};
  return run_elementwise(&map_kernel<Out, F, Same<T, Tensors>...>, &f, inputs, dtype_of<Out>());
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

}  // namespace dygrad::kernel
