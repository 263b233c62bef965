// Elementwise loops whose quick formula is not right for all operands.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/simd/vectorize.h>

namespace dygrad::detail {

template <class T, class F, class Repair>
struct CheckedLoop {
  static constexpr std::int64_t kBlock = 512;                                   // elements, in the L1 cache
  using Flag = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;  // as wide as an element, for vectors

  F f;
  Repair repair;

  template <class... X>
  [[gnu::always_inline]] static Flag run_vectors(F f, std::int64_t n, T* out, const X*... x) {
    Flag is_wrong = 0;
    DYGRAD_IVDEP
    for (std::int64_t i = 0; i < n; ++i) is_wrong |= static_cast<Flag>(!f(out[i], x[i]...));
    return is_wrong;
  }
  template <class... X>
  void run_block(std::int64_t n, T* out, const X*... x) const {
    Flag is_wrong = 0;
    kernel::vectorize([&is_wrong, f = f, n, out, x...] { is_wrong = run_vectors(f, n, out, x...); });
    if (is_wrong) repair(n, out, x...);
  }
  template <std::size_t... I>
  void run_blocks(std::int64_t n, void* const* at, std::index_sequence<I...>) const {
    for (std::int64_t i = 0; i < n; i += kBlock)
      run_block(std::min(kBlock, n - i), static_cast<T*>(at[0]) + i, static_cast<const T*>(at[I + 1]) + i...);
  }
};

/// A fresh tensor whose elements f(T& out, x[i]...) writes; it returns whether the result is right. Blocks with one
/// that is not go to repair(n, out, x...), with pointers to their elements; on several threads at once. f belongs into
/// vectorize(). For at most three inputs of one dtype, T.
template <class T, class F, class Repair, class... Tensors>
Tensor checked_map(const F& f, const Repair& repair, const Tensors&... in) {
  using Loop = CheckedLoop<T, F, Repair>;
  const Loop loop{f, repair};
  const auto run = [](const void* context, std::int64_t n, void* const* at) {
    static_cast<const Loop*>(context)->run_blocks(n, at, std::index_sequence_for<Tensors...>());
  };
  const Tensor* const inputs[] = {&in...};
  return kernel::run_elementwise(run, &loop, inputs, dtype_of<T>());
}

}  // namespace dygrad::detail
