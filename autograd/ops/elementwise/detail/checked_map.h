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
    Flag needs_repair = 0;
    DYGRAD_IVDEP
    for (std::int64_t i = 0; i < n; ++i) needs_repair |= static_cast<Flag>(!f(out[i], x[i]...));
    return needs_repair;
  }
  template <class... X>
  void run_block(std::int64_t n, T* out, const X*... x) const {
    Flag needs_repair = 0;
    kernel::vectorize([&needs_repair, f = f, n, out, x...] { needs_repair = run_vectors(f, n, out, x...); });
    if (needs_repair) repair(n, out, x...);
  }
  template <std::size_t... I>
  void run_blocks(std::int64_t n, void* const* at, std::index_sequence<I...>) const {
    for (std::int64_t i = 0; i < n; i += kBlock)
      run_block(std::min(kBlock, n - i), static_cast<T*>(at[0]) + i, static_cast<const T*>(at[I + 1]) + i...);
  }
};

/// Returns a new tensor. f(T& out, x[i]...) writes an element and returns false where its formula is not accurate;
/// repair(n, out, x...) then computes that block of at most 512 elements again, on several threads at once. f is
/// inlined into a vector loop: no branches, no calls. For at most three inputs of one dtype, T.
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
