// Functions of elements and of per-channel values: bias, normalisation.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>
#include <vector>

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/simd/vectorize.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

namespace detail {
/// y[i] = f(x[0][i], ..., values[0][i], ...); with kOneChannel the values stay at their first.
template <bool kOneChannel, class T, std::size_t M, std::size_t K, class F, std::size_t... I, std::size_t... J>
void map_span(const F& f, T* y, std::array<const T*, M> x, std::array<const T*, K> values, std::int64_t count,
              std::index_sequence<I...>, std::index_sequence<J...>) {
  vectorize([f, y, x, values, count] {
    if constexpr (kOneChannel) {
      const std::array<T, K> own{*values[J]...};
      DYGRAD_IVDEP
      for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[I][i]..., own[J]...);
    } else {
      DYGRAD_IVDEP
      for (std::int64_t i = 0; i < count; ++i) y[i] = f(x[I][i]..., values[J][i]...);
    }
  });
}
}  // namespace detail

/// y[n, c, ...] = f(x[n, c, ...] of each source, value[c] of each list). y is [N, C] or [N, C, H, W], of type T, dense
/// in either order (asserted); the sources have its shape and order and may be y itself; each list has C elements.
template <class T, std::size_t M, std::size_t K, class F>
void map_channels(const F& f, const Tensor& y, const std::array<const T*, M>& sources,
                  const std::array<const T*, K>& values) {
  const std::int64_t channels = y.shape()[1];
  const std::int64_t pixels = y.rank() == 4 ? y.shape()[2] * y.shape()[3] : 1;
  const std::int64_t elements = y.num_elements();
  T* out = y.mutable_data<T>();
  if (elements == 0) return;
  const auto from = [&](std::int64_t offset) {
    std::array<const T*, M> x = sources;
    for (const T*& source : x) source += offset;
    return x;
  };
  constexpr auto kSources = std::make_index_sequence<M>{};
  constexpr auto kValues = std::make_index_sequence<K>{};

  if (pixels > 1 && y.is_contiguous()) {
    parallel_for(elements / pixels, std::max<std::int64_t>(kElementwiseGrain / pixels, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t plane = begin; plane < end; ++plane) {
                     std::array<const T*, K> own = values;
                     for (const T*& list : own) list += plane % channels;
                     const std::int64_t offset = plane * pixels;
                     detail::map_span<true>(f, out + offset, from(offset), own, pixels, kSources, kValues);
                   }
                 });
    return;
  }

  // Channels are innermost. A few of them are repeated until the inner loop is worth its start.
  assert(pixels == 1 ? y.is_contiguous() : y.is_contiguous(MemoryFormat::channels_last));
  constexpr std::int64_t kWide = 256;
  const std::int64_t row = channels * std::max<std::int64_t>(kWide / channels, 1);
  std::vector<T> repeated(row > channels ? K * static_cast<std::size_t>(row) : 0);
  std::array<const T*, K> lists = values;
  for (std::size_t k = 0; row > channels && k < K; ++k) {
    T* list = repeated.data() + k * static_cast<std::size_t>(row);
    for (std::int64_t i = 0; i < row; ++i) list[i] = values[k][i % channels];
    lists[k] = list;
  }
  parallel_for((elements + row - 1) / row, std::max<std::int64_t>(kElementwiseGrain / row, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const std::int64_t count = std::min(row, elements - r * row);
                   detail::map_span<false>(f, out + r * row, from(r * row), lists, count, kSources, kValues);
                 }
               });
}

}  // namespace dygrad::kernel
