#include <dygrad/core/simd/vectorize.h>

#include <algorithm>
#include <string_view>

#include <dygrad/core/base/detail/environment.h>

namespace dygrad::kernel {

namespace {

InstructionSet of_processor() {
#if DYGRAD_VECTOR_VERSIONS
  const auto has_avx2 = [] {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
  };
  const auto has_avx512 = [] {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
  };
  if (has_avx2()) return has_avx512() ? InstructionSet::avx512 : InstructionSet::avx2;
#elif defined(__AVX512F__)
  return InstructionSet::avx512;
#elif defined(__AVX2__)
  return InstructionSet::avx2;
#endif
  return InstructionSet::baseline;
}

InstructionSet allowed() {
  const std::string_view name = dygrad::detail::environment("DYGRAD_INSTRUCTION_SET", {"baseline", "avx2", "avx512"});
  return name == "baseline" ? InstructionSet::baseline : name == "avx2" ? InstructionSet::avx2 : InstructionSet::avx512;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet set = std::min(of_processor(), allowed());
  return set;
}

}  // namespace dygrad::kernel
