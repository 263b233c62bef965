#include <dygrad/backends/native/microkernels/kernels.h>

#include <dygrad/backends/native/microkernels/instruction_sets.h>

namespace dygrad::native {

namespace {

enum class InstructionSet { baseline, avx2, avx512, avx512_bf16 };

InstructionSet detect() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd")) {
    return __builtin_cpu_supports("avx512bf16") ? InstructionSet::avx512_bf16 : InstructionSet::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    return InstructionSet::avx2;
  }
#endif
  return InstructionSet::baseline;
}

// The AVX-512 instance is not instrumented; the AVX2 one is made of the same source.
#if defined(DYGRAD_SANITIZED)
constexpr bool kTakesAvx512 = false;
#else
constexpr bool kTakesAvx512 = true;
#endif

InstructionSet best() {
  static const InstructionSet set = detect();
  return set;
}

}  // namespace

template <>
const Kernels<float>& kernels<float>() {
#if defined(__x86_64__)
  if (kTakesAvx512 && best() >= InstructionSet::avx512) return kAvx512Float;
  if (best() >= InstructionSet::avx2) return kAvx2Float;
#endif
  return kBaselineFloat;
}

template <>
const Kernels<double>& kernels<double>() {
#if defined(__x86_64__)
  if (kTakesAvx512 && best() >= InstructionSet::avx512) return kAvx512Double;
  if (best() >= InstructionSet::avx2) return kAvx2Double;
#endif
  return kBaselineDouble;
}

template <>
const Kernels<Bf16Pair>& kernels<Bf16Pair>() {
  return kBf16;
}

bool multiplies_bf16_pairs() { return kTakesAvx512 && best() == InstructionSet::avx512_bf16; }

}  // namespace dygrad::native
