// The vector instructions that the library uses on this processor: the only place that asks for them.
#pragma once

#include <cstdint>

#include <dygrad/core/base/export.h>

namespace dygrad::kernel {

/// x86-64's own vectors of 16 bytes (also every other architecture), x86-64-v3's of 32, x86-64-v4's of 64.
enum class InstructionSet : std::uint8_t { baseline, avx2, avx512 };

/// The widest set that kernels use: the processor's, or less if DYGRAD_INSTRUCTION_SET says so (baseline, avx2 or
/// avx512, read once; throws InvalidArgument for another value). It holds for core, native and oneDNN; OpenBLAS reads a
/// variable of its own, OPENBLAS_CORETYPE.
DYGRAD_API InstructionSet instruction_set();
/// The widest set of the processor, whatever the variable says.
DYGRAD_API InstructionSet processor_instruction_set();

/// Whether bfloat16 dot products (AVX512-BF16) may be used.
DYGRAD_API bool has_avx512_bf16();

}  // namespace dygrad::kernel
