#include <dygrad/core/simd/instruction_set.h>

#include <algorithm>
#include <string_view>

#include <dygrad/core/base/detail/environment.h>

namespace dygrad::kernel {

namespace {

InstructionSet allowed() {
  const std::string_view name = dygrad::detail::environment("DYGRAD_INSTRUCTION_SET", {"baseline", "avx2", "avx512"});
  return name == "baseline" ? InstructionSet::baseline : name == "avx2" ? InstructionSet::avx2 : InstructionSet::avx512;
}

}  // namespace

InstructionSet processor_instruction_set() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
      !__builtin_cpu_supports("bmi2")) {
    return InstructionSet::baseline;
  }
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl");
  return has_avx512 ? InstructionSet::avx512 : InstructionSet::avx2;
#else
  return InstructionSet::baseline;
#endif
}

InstructionSet instruction_set() {
  static const InstructionSet set = std::min(processor_instruction_set(), allowed());
  return set;
}

bool has_avx512_bf16() {
#if defined(__x86_64__)
  return instruction_set() == InstructionSet::avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace dygrad::kernel
