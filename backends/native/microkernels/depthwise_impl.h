// The loops behind depthwise_kernels.h, for vectors of any width; a part of kernels_impl.h.
#pragma once

namespace dygrad::native {

namespace {

/// Pixels in registers at once; what is left of a segment is done 4 at a time, and then one by one.
constexpr int kPixelsAtOnce = 8;

/// A vector of so many bytes, or a scalar.
template <class T, int kBytes>
struct ShortVectorOf {
  using Type __attribute__((vector_size(kBytes))) = T;
};
template <class T>
struct ShortVectorOf<T, sizeof(T)> {
  using Type = T;
};
template <class T, int kBytes>
using ShortVector = typename ShortVectorOf<T, kBytes>::Type;

template <class V, class T>
[[gnu::always_inline]] inline V load_as(const T* p) {
  V v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class T>
[[gnu::always_inline]] inline void store_as(T* p, V v) {
  __builtin_memcpy(p, &v, sizeof v);
}

/// Loads once for all uses. Compilers load anew for each, as that takes no register and no instruction of its own.
template <class V, class T>
[[gnu::always_inline]] inline V load_once(const T* p) {
  V v = load_as<V>(p);
#if defined(__x86_64__)
  asm("" : "+v"(v));
#endif
  return v;
}

/// sums[i] += patch(i, t) * weight(t) over adjacent taps t, for a vector V of channels.
template <int kTaps, class V, int kPixels, class T>
[[gnu::always_inline]] inline void add_patches(const T* patches, std::int64_t patch_step, const T* weights,
                                               std::int64_t weight_step, V (&sums)[kPixels]) {
  V taps[kTaps];
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) taps[t] = load_as<V>(weights + t * weight_step);
#pragma GCC unroll 16
  for (int place = 0; place < kPixels + kTaps - 1; ++place) {
    const V pixel = kTaps == 1 ? load_as<V>(patches + place * patch_step) : load_once<V>(patches + place * patch_step);
#pragma GCC unroll 8
    for (int t = 0; t < kTaps; ++t) {
      if (place - t >= 0 && place - t < kPixels) sums[place - t] += pixel * taps[t];
    }
  }
}

/// weight(t) += patch(i, t) * own[i] over pixels i.
template <int kTaps, class V, int kPixels, class T>
[[gnu::always_inline]] inline void add_pixels(const T* patches, std::int64_t patch_step, const V (&own)[kPixels],
                                              T* weights, std::int64_t weight_step) {
  V sums[kTaps][2];  // additions to one sum wait for each other
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) sums[t][0] = load_as<V>(weights + t * weight_step), sums[t][1] = V{};
#pragma GCC unroll 16
  for (int place = 0; place < kPixels + kTaps - 1; ++place) {
    const V pixel = kTaps == 1 ? load_as<V>(patches + place * patch_step) : load_once<V>(patches + place * patch_step);
#pragma GCC unroll 8
    for (int t = 0; t < kTaps; ++t) {
      if (place - t >= 0 && place - t < kPixels) sums[t][place % 2] += pixel * own[place - t];
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) store_as(weights + t * weight_step, sums[t][0] + sums[t][1]);
}

/// Calls f.template operator()<kTaps>(offset, weight, weight_step) for all taps of a segment, several adjacent ones at
/// once if that saves loads.
template <class V, int kPixels, class F>
[[gnu::always_inline]] inline void for_each_tap(const RowSegment& segment, const F& f) {
  constexpr bool kTogether = (kPixels >= 4 && sizeof(V) == kVectorBytes) || (kPixels >= 8 && sizeof(V) > 16);
  for (const AdjacentTaps *taps = segment.taps, *end = taps + segment.num_taps; taps != end; ++taps) {
    if (kTogether && taps->count == 3) {
      f.template operator()<3>(taps->offset, taps->weight, taps->weight_step);
    } else if (kTogether && taps->count == 2) {
      f.template operator()<2>(taps->offset, taps->weight, taps->weight_step);
    } else {
#pragma GCC unroll 1
      for (int t = 0; t < taps->count; ++t) {
        f.template operator()<1>(taps->offset + t * segment.patch_step, taps->weight + t * taps->weight_step, 0);
      }
    }
  }
}

/// Calls f.template operator()<V, kPixels>(p, c) for kPixels pixels from p on and a vector V of channels from c on,
/// until all channels are done. Vectors are as wide as possible; to keep the code small, narrow ones are taken for a
/// whole block of pixels or for one.
template <class T, int kPixels, int kBytes = kVectorBytes, class F>
[[gnu::always_inline]] inline void for_each_vector(std::int64_t p, std::int64_t c, std::int64_t channels, const F& f) {
  constexpr std::int64_t n = kBytes / sizeof(T);
  constexpr int kTogether = kBytes == kVectorBytes || kPixels == kPixelsAtOnce ? kPixels : 1;
  for (; c + n <= channels; c += n) {
#pragma GCC unroll 1
    for (int i = 0; i < kPixels; i += kTogether) f.template operator()<ShortVector<T, kBytes>, kTogether>(p + i, c);
  }
  if constexpr (kBytes > 16) for_each_vector<T, kPixels, kBytes / 2>(p, c, channels, f);
  else if constexpr (n > 1) for_each_vector<T, kPixels, sizeof(T)>(p, c, channels, f);
}

/// The same for all pixels of a segment from p on.
template <class T, int kPixels = kPixelsAtOnce, class F>
[[gnu::always_inline]] inline void for_each_block(const RowSegment& segment, std::int64_t p, const F& f) {
  for (; p + kPixels <= segment.num_pixels; p += kPixels) for_each_vector<T, kPixels>(p, 0, segment.channels, f);
  if constexpr (kPixels > 1) for_each_block<T, kPixels == 8 ? 4 : 1>(segment, p, f);
}

/// For kPixels pixels of a segment and one vector V of channels, where everything begins with them.
template <class V, int kPixels, class T>
[[gnu::always_inline]] inline void dwconv_vector(const RowSegment& segment, const T* patches, const T* weights,
                                                 const T* init, bool is_relu, T* pixels) {
  const std::int64_t patch_step = segment.patch_step, pixel_step = segment.pixel_step;
  V sums[kPixels];
  const V start = load_as<V>(init);
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) sums[i] = start;
  for_each_tap<V, kPixels>(
      segment, [&]<int kTaps>(std::int64_t offset, std::int64_t weight, std::int64_t weight_step)
                   __attribute__((always_inline)) {
                     add_patches<kTaps>(patches + offset, patch_step, weights + weight, weight_step, sums);
                   });
  if (is_relu) {
#pragma GCC unroll 8
    for (int i = 0; i < kPixels; ++i) sums[i] = sums[i] <= 0 ? V{} : sums[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) store_as(pixels + i * pixel_step, sums[i]);
}

template <class V, int kPixels, class T>
[[gnu::always_inline]] inline void dwconv_weights_vector(const RowSegment& segment, const T* patches, const T* pixels,
                                                         T* weights) {
  const std::int64_t patch_step = segment.patch_step, pixel_step = segment.pixel_step;
  V own[kPixels];
#pragma GCC unroll 8
  for (int i = 0; i < kPixels; ++i) own[i] = load_as<V>(pixels + i * pixel_step);
  for_each_tap<V, kPixels>(
      segment, [&]<int kTaps>(std::int64_t offset, std::int64_t weight, std::int64_t weight_step)
                   __attribute__((always_inline)) {
                     add_pixels<kTaps>(patches + offset, patch_step, own, weights + weight, weight_step);
                   });
}

template <class T>
void dwconv(const RowSegment& row_segment, const T* patches, const T* weights, const T* init, bool is_relu, T* pixels) {
  const RowSegment segment = row_segment;  // which stores cannot change
  for_each_block<T>(
      segment, 0, [&]<class V, int kPixels>(std::int64_t p, std::int64_t c) __attribute__((always_inline)) {
        dwconv_vector<V, kPixels>(segment, patches + (p * segment.patch_step + c), weights + c, init + c, is_relu,
                                  pixels + (p * segment.pixel_step + c));
      });
}

template <class T>
void dwconv_weights(const RowSegment& row_segment, const T* patches, const T* pixels, T* weights) {
  const RowSegment segment = row_segment;  // which stores cannot change
  for_each_block<T>(
      segment, 0, [&]<class V, int kPixels>(std::int64_t p, std::int64_t c) __attribute__((always_inline)) {
        dwconv_weights_vector<V, kPixels>(segment, patches + (p * segment.patch_step + c),
                                          pixels + (p * segment.pixel_step + c), weights + c);
      });
}

}  // namespace

}  // namespace dygrad::native
