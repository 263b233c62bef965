// The three directions are one sum over (n, c, o, i, j, h, w) with another operand written; see kernels.h.
// Threads share out the written operand, so that each element is summed by one thread in a fixed order.
#include <dygrad/backends/reference/kernels.h>
#include <dygrad/core/parallel.h>

namespace dygrad::reference {

namespace {

/// Multiplications worth waking another thread for.
constexpr std::int64_t kGrain = 1 << 16;

/// Planes of the result per piece of work, when each plane costs `cost` multiplications.
std::int64_t planes_per_piece(std::int64_t cost) { return kGrain / std::max<std::int64_t>(cost, 1) + 1; }

}  // namespace

template <class T>
void deconv2d(const Conv2DSizes& s, const T* x, const T* weights, T* y) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  parallel_for(s.n * s.o, planes_per_piece(cg * s.taps() * s.h * s.w), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t plane = first; plane < last; ++plane) {
      const std::int64_t n = plane / s.o, filter = plane % s.o, group = filter / og, o = filter % og;
      T* y_plane = y + plane * s.oh * s.ow;
      std::fill_n(y_plane, s.oh * s.ow, T{0});
      for (std::int64_t c = group * cg; c < (group + 1) * cg; ++c) {
        const T* x_plane = x + (n * s.c + c) * s.h * s.w;
        const T* kernel = weights + (c * og + o) * s.taps();
        for (std::int64_t i = 0; i < s.kh; ++i) {
          const TapRange rows = row_range(s, i);
          for (std::int64_t j = 0; j < s.kw; ++j) {
            const TapRange columns = column_range(s, j);
            const T weight = kernel[i * s.kw + j];
            for (std::int64_t h = rows.begin; h < rows.end; ++h) {
              const T* x_row = x_plane + h * s.w;
              T* y_row = y_plane + (h * s.sh + rows.shift) * s.ow;
              for (std::int64_t w = columns.begin; w < columns.end; ++w)
                y_row[w * s.sw + columns.shift] += x_row[w] * weight;
            }
          }
        }
      }
    }
  });
}

template <class T>
void deconv2d_data(const Conv2DSizes& s, const T* y, const T* weights, T* x) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  parallel_for(s.n * s.c, planes_per_piece(og * s.taps() * s.h * s.w), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t plane = first; plane < last; ++plane) {
      const std::int64_t n = plane / s.c, c = plane % s.c, group = c / cg;
      T* x_plane = x + plane * s.h * s.w;
      std::fill_n(x_plane, s.h * s.w, T{0});
      for (std::int64_t o = 0; o < og; ++o) {
        const T* y_plane = y + (n * s.o + group * og + o) * s.oh * s.ow;
        const T* kernel = weights + (c * og + o) * s.taps();
        for (std::int64_t i = 0; i < s.kh; ++i) {
          const TapRange rows = row_range(s, i);
          for (std::int64_t j = 0; j < s.kw; ++j) {
            const TapRange columns = column_range(s, j);
            const T weight = kernel[i * s.kw + j];
            for (std::int64_t h = rows.begin; h < rows.end; ++h) {
              T* x_row = x_plane + h * s.w;
              const T* y_row = y_plane + (h * s.sh + rows.shift) * s.ow;
              for (std::int64_t w = columns.begin; w < columns.end; ++w)
                x_row[w] += y_row[w * s.sw + columns.shift] * weight;
            }
          }
        }
      }
    }
  });
}

template <class T>
void deconv2d_weights(const Conv2DSizes& s, const T* x, const T* y, T* weights) {
  const std::int64_t cg = s.channels_in_group(), og = s.filters_in_group();
  parallel_for(s.c * og, planes_per_piece(s.n * s.taps() * s.h * s.w), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t plane = first; plane < last; ++plane) {
      const std::int64_t c = plane / og, o = plane % og, group = c / cg;
      for (std::int64_t i = 0; i < s.kh; ++i) {
        const TapRange rows = row_range(s, i);
        for (std::int64_t j = 0; j < s.kw; ++j) {
          const TapRange columns = column_range(s, j);
          T sum{0};
          for (std::int64_t n = 0; n < s.n; ++n) {
            const T* x_plane = x + (n * s.c + c) * s.h * s.w;
            const T* y_plane = y + (n * s.o + group * og + o) * s.oh * s.ow;
            for (std::int64_t h = rows.begin; h < rows.end; ++h) {
              const T* x_row = x_plane + h * s.w;
              const T* y_row = y_plane + (h * s.sh + rows.shift) * s.ow;
              for (std::int64_t w = columns.begin; w < columns.end; ++w)
                sum += x_row[w] * y_row[w * s.sw + columns.shift];
            }
          }
          weights[(plane * s.kh + i) * s.kw + j] = sum;
        }
      }
    }
  });
}

template void deconv2d(const Conv2DSizes&, const double*, const double*, double*);
template void deconv2d(const Conv2DSizes&, const std::int64_t*, const std::int64_t*, std::int64_t*);
template void deconv2d_data(const Conv2DSizes&, const double*, const double*, double*);
template void deconv2d_data(const Conv2DSizes&, const std::int64_t*, const std::int64_t*, std::int64_t*);
template void deconv2d_weights(const Conv2DSizes&, const double*, const double*, double*);
template void deconv2d_weights(const Conv2DSizes&, const std::int64_t*, const std::int64_t*, std::int64_t*);

}  // namespace dygrad::reference
