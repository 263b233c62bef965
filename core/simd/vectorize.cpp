#include <dygrad/core/simd/vectorize.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

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
  const char* text = std::getenv("DYGRAD_INSTRUCTION_SET");
  if (text && text == std::string_view("baseline")) return InstructionSet::baseline;
  if (text && text == std::string_view("avx2")) return InstructionSet::avx2;
  return InstructionSet::avx512;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet set = std::min(of_processor(), allowed());
  return set;
}

}  // namespace dygrad::kernel
