// Functions of an element and of numbers that belong to its channel: bias, normalisation. For the library's own .cpp
// files.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <vector>

#include <dygrad/core/strided_loop.h>

namespace dygrad::raw {

/// y[n, c, ...] = f(x[n, c, ...], numbers[0][c], numbers[1][c], ...). x and y are [N, C] or [N, C, H, W], of type T,
/// both dense in the same order (asserted), and may be the same memory; each list of numbers has C elements.
template <class T, std::size_t K, class F>
void map_channels(const F& f, const Tensor& y, const Tensor& x, const std::array<const T*, K>& numbers) {
  const std::int64_t channels = x.shape()[1];
  const std::int64_t pixels = x.rank() == 4 ? x.shape()[2] * x.shape()[3] : 1;
  const std::int64_t elements = x.num_elements();
  const T* in = x.data<T>();
  T* out = y.mutable_data<T>();
  assert(x.shape() == y.shape());
  if (elements == 0) return;

  const auto call = [&]<std::size_t... I>(std::index_sequence<I...>, T v, const std::array<const T*, K>& lists,
                                          std::int64_t c) {
    return f(v, lists[I][c]...);
  };
  constexpr auto kIndices = std::make_index_sequence<K>{};

  if (pixels > 1 && x.is_contiguous()) {
    assert(y.is_contiguous());
    parallel_for(elements / pixels, std::max<std::int64_t>(kElementwiseGrain / pixels, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t plane = begin; plane < end; ++plane) {
                     std::array<T, K> own;
                     std::array<const T*, K> lists;
                     for (std::size_t k = 0; k < K; ++k) {
                       own[k] = numbers[k][plane % channels];
                       lists[k] = &own[k];
                     }
                     const T* source = in + plane * pixels;
                     T* target = out + plane * pixels;
                     DYGRAD_IVDEP
                     for (std::int64_t i = 0; i < pixels; ++i) target[i] = call(kIndices, source[i], lists, 0);
                   }
                 });
    return;
  }

  // Channels are densest. Few of them are repeated until the inner loop is worth its start.
  assert(pixels == 1 ? x.is_contiguous() && y.is_contiguous()
                     : x.is_contiguous(MemoryFormat::channels_last) && y.is_contiguous(MemoryFormat::channels_last));
  constexpr std::int64_t kWide = 256;
  const std::int64_t row = channels * std::max<std::int64_t>(kWide / channels, 1);
  std::vector<T> repeated(row > channels ? K * static_cast<std::size_t>(row) : 0);
  std::array<const T*, K> lists = numbers;
  if (row > channels) {
    for (std::size_t k = 0; k < K; ++k) {
      T* list = repeated.data() + k * static_cast<std::size_t>(row);
      for (std::int64_t i = 0; i < row; ++i) list[i] = numbers[k][i % channels];
      lists[k] = list;
    }
  }
  parallel_for((elements + row - 1) / row, std::max<std::int64_t>(kElementwiseGrain / row, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   const T* source = in + r * row;
                   T* target = out + r * row;
                   const std::int64_t count = std::min(row, elements - r * row);
                   DYGRAD_IVDEP
                   for (std::int64_t i = 0; i < count; ++i) target[i] = call(kIndices, source[i], lists, i);
                 }
               });
}

}  // namespace dygrad::raw
