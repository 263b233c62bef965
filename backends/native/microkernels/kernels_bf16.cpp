// Microkernels on VNNI pairs of bfloat16, and what rounds to them; see Note [VNNI pairs].
#if defined(__AVX512BF16__)
#define DYGRAD_VECTOR_BYTES 64
#define DYGRAD_MR 14
#else
#define DYGRAD_VECTOR_BYTES 16
#define DYGRAD_MR 6
#endif
#include <dygrad/backends/native/microkernels/instruction_sets.h>
#include <dygrad/backends/native/microkernels/kernels_impl.h>

namespace dygrad::native {

namespace {

/// Of the two neighbours whose lower half is 0 the nearer one, of equally near ones the even one (round to nearest,
/// ties to even): its upper half. Written without a branch, so that compilers make vectors of it.
inline std::uint32_t rounded(float value) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
  return is_nan ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

void round(const float* from, std::int64_t count, std::uint16_t* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<std::uint16_t>(rounded(from[i]));
}

void interleave(const float* first, const float* second, std::int64_t count, Bf16Pair* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = Bf16Pair{rounded(first[i]) | rounded(second[i]) << 16};
}

}  // namespace

const Kernels<Bf16Pair> kBf16 = {
#if defined(__AVX512BF16__)
    microkernels<Bf16Pair>("AVX512-BF16"),
#else
    microkernels<Bf16Pair>("baseline"),
#endif
    round, interleave};

}  // namespace dygrad::native
