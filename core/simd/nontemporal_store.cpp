#include <dygrad/core/simd/nontemporal_store.h>

#include <algorithm>
#include <cstring>

#include <dygrad/core/simd/instruction_set.h>
#include <dygrad/core/simd/prefetch.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define DYGRAD_NONTEMPORAL_STORES 1
#else
#define DYGRAD_NONTEMPORAL_STORES 0
#endif

namespace dygrad::kernel {

#if DYGRAD_NONTEMPORAL_STORES

namespace {

// A line in one or two stores: four take twice as long, more than the arithmetic of most kernels.

[[gnu::target("avx512f")]] void write_lines_avx512(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  for (std::size_t at = 0; at < num_bytes; at += kLine)
    _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at), _mm512_loadu_si512(from + at));
}

[[gnu::target("avx")]] void write_lines_avx(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  for (std::size_t at = 0; at < num_bytes; at += sizeof(__m256i)) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + at)));
  }
}

void write_lines_sse2(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  for (std::size_t at = 0; at < num_bytes; at += sizeof(__m128i)) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + at), _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + at)));
  }
}

/// Whole lines; `to` begins with one.
void write_lines(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  switch (instruction_set()) {
    case InstructionSet::avx512: return write_lines_avx512(from, to, num_bytes);
    case InstructionSet::avx2: return write_lines_avx(from, to, num_bytes);
    case InstructionSet::baseline: return write_lines_sse2(from, to, num_bytes);
  }
}

}  // namespace

void store_nontemporal(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  const std::size_t head = std::min((kLine - bytes_into_line(to)) % kLine, num_bytes),
                    end = num_bytes - (num_bytes - head) % kLine;
  std::memcpy(to, from, head);
  write_lines(from + head, to + head, end - head);
  std::memcpy(to + end, from + end, num_bytes - end);
}

void finish_nontemporal_stores() { _mm_sfence(); }

#else

void store_nontemporal(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  std::memcpy(to, from, num_bytes);
}

void finish_nontemporal_stores() {}

#endif

}  // namespace dygrad::kernel
