// The three directions are one sum over (n, c, o, i, j, h, w) with another operand written; see kernels.h.
// Threads share out the written operand, so that each element is summed by one thread in a fixed order.
#include <dygrad/backends/common/work.h>
#include <dygrad/backends/reference/kernels.h>
#include <dygrad/backends/reference/row_of_sums.h>
#include <dygrad/core/base/parallel.h>

namespace dygrad::reference {

namespace {

/// Multiplications worth waking another thread for.
constexpr std::int64_t kGrain = 1 << 16;

/// Calls f(plane, row, columns) for spans of the rows of a result, when each element costs `cost` multiplications.
template <class F>
void for_each_segment(std::int64_t planes, std::int64_t rows, std::int64_t columns, std::int64_t cost, const F& f) {
  constexpr std::int64_t kMax = RowOfSums<double>::kMax;
  const std::int64_t in_row = ceil_div(columns, kMax);
  const std::int64_t grain = kGrain / std::max<std::int64_t>(cost, 1) / std::min(columns, kMax) + 1;
  parallel_for(planes * rows * in_row, grain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const Range own = part_of({0, columns}, i % in_row, in_row);
      f(i / in_row / rows, i / in_row % rows, own);
    }
  });
}

}  // namespace

template <class T>
void conv2d_transpose(const Conv2DSizes& s, const T* x, const T* weights, T* y) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  const std::int64_t cost = ceil_div(cg * s.taps(), s.sh * s.sw);
  for_each_segment(s.n * s.o, s.oh, s.ow, cost, [&](std::int64_t plane, std::int64_t oh, Range own) {
    const std::int64_t n = plane / s.o, filter = plane % s.o, group = filter / og, o = filter % og;
    RowOfSums<SumOf<T>> sums(own.size());
    for (std::int64_t c = group * cg; c < (group + 1) * cg; ++c) {
      const T* x_plane = x + (n * s.c + c) * s.h * s.w;
      const T* kernel = weights + (c * og + o) * s.taps();
      for (std::int64_t i = 0; i < s.kh; ++i) {
        const std::int64_t target = oh + s.ph - i * s.dh, h = target / s.sh;
        if (target < 0 || target % s.sh != 0 || h >= s.h) continue;
        for (std::int64_t j = 0; j < s.kw; ++j) {
          const TapRange columns = tap_range(s.w, own.size(), s.sw, j * s.dw - s.pw - own.first);
          if (columns.begin == columns.end) continue;
          const auto weight = static_cast<SumOf<T>>(kernel[i * s.kw + j]);
          const T* x_row = x_plane + h * s.w;
          SumOf<T>* y_row = sums.block(1);
          for (std::int64_t w = columns.begin; w < columns.end; ++w)
            y_row[w * s.sw + columns.shift] += static_cast<SumOf<T>>(x_row[w]) * weight;
        }
      }
    }
    sums.write(y + (plane * s.oh + oh) * s.ow + own.first);
  });
}

template <class T>
void conv2d(const Conv2DSizes& s, const T* y, const T* weights, T* x) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  for_each_segment(s.n * s.c, s.h, s.w, og * s.taps(), [&](std::int64_t plane, std::int64_t h, Range own) {
    const std::int64_t n = plane / s.c, c = plane % s.c, group = c / cg;
    RowOfSums<SumOf<T>> sums(own.size());
    for (std::int64_t o = 0; o < og; ++o) {
      const T* y_plane = y + (n * s.o + group * og + o) * s.oh * s.ow;
      const T* kernel = weights + (c * og + o) * s.taps();
      for (std::int64_t i = 0; i < s.kh; ++i) {
        const std::int64_t oh = h * s.sh + i * s.dh - s.ph;
        if (oh < 0 || oh >= s.oh) continue;
        for (std::int64_t j = 0; j < s.kw; ++j) {
          const TapRange columns = column_range(s, j);
          const auto weight = static_cast<SumOf<T>>(kernel[i * s.kw + j]);
          const T* y_row = y_plane + oh * s.ow;
          SumOf<T>* x_row = sums.block(1);
          for (std::int64_t w = std::max(columns.begin, own.first); w < std::min(columns.end, own.last); ++w)
            x_row[w - own.first] += static_cast<SumOf<T>>(y_row[w * s.sw + columns.shift]) * weight;
        }
      }
    }
    sums.write(x + (plane * s.h + h) * s.w + own.first);
  });
}

template <class T>
void conv2d_weights(const Conv2DSizes& s, const T* x, const T* y, T* weights) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  constexpr std::int64_t kTogether = 128;  // products of a row that are added as one
  for_each_segment(s.c * og, s.taps(), 1, s.n * s.h * s.w, [&](std::int64_t plane, std::int64_t tap, Range) {
    const std::int64_t c = plane / og, o = plane % og, group = c / cg;
    const TapRange rows = row_range(s, tap / s.kw), columns = column_range(s, tap % s.kw);
    RowOfSums<SumOf<T>> sum(1);
    for (std::int64_t n = 0; n < s.n; ++n) {
      const T* x_plane = x + (n * s.c + c) * s.h * s.w;
      const T* y_plane = y + (n * s.o + group * og + o) * s.oh * s.ow;
      for (std::int64_t h = rows.begin; h < rows.end; ++h) {
        const T* x_row = x_plane + h * s.w;
        const T* y_row = y_plane + (h * s.sh + rows.shift) * s.ow;
        for (std::int64_t first = columns.begin; first < columns.end; first += kTogether) {
          const std::int64_t last = std::min(first + kTogether, columns.end);
          SumOf<T>* const block = sum.block(last - first);
          SumOf<T> some = *block;
          for (std::int64_t w = first; w < last; ++w)
            some += static_cast<SumOf<T>>(x_row[w]) * static_cast<SumOf<T>>(y_row[w * s.sw + columns.shift]);
          *block = some;
        }
      }
    }
    sum.write(weights + plane * s.taps() + tap);
  });
}

template void conv2d_transpose(const Conv2DSizes&, const float*, const float*, float*);
template void conv2d_transpose(const Conv2DSizes&, const double*, const double*, double*);
template void conv2d_transpose(const Conv2DSizes&, const std::int64_t*, const std::int64_t*, std::int64_t*);
template void conv2d(const Conv2DSizes&, const float*, const float*, float*);
template void conv2d(const Conv2DSizes&, const double*, const double*, double*);
template void conv2d(const Conv2DSizes&, const std::int64_t*, const std::int64_t*, std::int64_t*);
template void conv2d_weights(const Conv2DSizes&, const float*, const float*, float*);
template void conv2d_weights(const Conv2DSizes&, const double*, const double*, double*);
template void conv2d_weights(const Conv2DSizes&, const std::int64_t*, const std::int64_t*, std::int64_t*);

}  // namespace dygrad::reference
