#include <dygrad/backends/native/microkernels/kernels.h>

#include <dygrad/backends/native/microkernels/instruction_sets.h>
#include <dygrad/core/simd/instruction_set.h>

namespace dygrad::native {

namespace {

using kernel::InstructionSet;

// The AVX-512 instance is not instrumented; the AVX2 one is made of the same source.
#if defined(DYGRAD_SANITIZED)
constexpr bool kTakesAvx512 = false;
#else
constexpr bool kTakesAvx512 = true;
#endif

/// Of one table for each set.
template <class T>
const Kernels<T>& of_set(const Kernels<T>& baseline, const Kernels<T>& avx2, const Kernels<T>& avx512) {
  const InstructionSet set = kernel::instruction_set();
  if (kTakesAvx512 && set == InstructionSet::avx512) return avx512;
  return set == InstructionSet::baseline ? baseline : avx2;
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
#if defined(__x86_64__)
  return of_set(kBaselineFloat, kAvx2Float, kAvx512Float);
#else
  return kBaselineFloat;
#endif
}

template <>
const Kernels<double>& kernels<double>() {
#if defined(__x86_64__)
  return of_set(kBaselineDouble, kAvx2Double, kAvx512Double);
#else
  return kBaselineDouble;
#endif
}

template <>
const Kernels<Bf16Pair>& kernels<Bf16Pair>() {
  return kBf16;
}

bool multiplies_bf16_pairs() { return kTakesAvx512 && kernel::has_avx512_bf16(); }

}  // namespace dygrad::native
