#include <dygrad/core/streamed_write.h>

#include <algorithm>
#include <cstring>

#include <dygrad/core/cache_line.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace dygrad::raw {

#if defined(__SSE2__)

namespace {

void write_line(const std::byte* from, std::byte* to) {
  const auto* source = reinterpret_cast<const __m128i*>(from);
  auto* target = reinterpret_cast<__m128i*>(to);
  const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
  const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
  _mm_stream_si128(target, a);
  _mm_stream_si128(target + 1, b);
  _mm_stream_si128(target + 2, c);
  _mm_stream_si128(target + 3, d);
}

}  // namespace

void write_streamed(const std::byte* from, std::byte* to, std::size_t num_bytes) {
  const std::size_t head = std::min((kLine - bytes_into_line(to)) % kLine, num_bytes),
                    end = num_bytes - (num_bytes - head) % kLine;
  std::memcpy(to, from, head);
  for (std::size_t at = head; at < end; at += kLine) write_line(from + at, to + at);
  std::memcpy(to + end, from + end, num_bytes - end);
}

void finish_streamed_writes() { _mm_sfence(); }

#else

void write_streamed(const std::byte* from, std::byte* to, std::size_t num_bytes) { std::memcpy(to, from, num_bytes); }

void finish_streamed_writes() {}

#endif

}  // namespace dygrad::raw
