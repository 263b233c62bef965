#include <algorithm>
#include <utility>
#include <vector>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/pool/detail/pool_geometry.h>
#include <dygrad/autograd/ops/pool/detail/pool_sums.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/simd/accurate_sum.h>
#include <dygrad/core/simd/vectorize.h>

namespace dygrad {

namespace {

using detail::contiguous_or_packed;
using detail::PoolGeometry;
using detail::sum_covering_windows;
using detail::sum_windows;

// Linear, so its vjp is its adjoint, and the adjoint's vjp is the pool.
struct AvgPool2DAdjoint {
  static constexpr std::string_view name = "avg_pool2d_grad";
  PoolGeometry geometry;
  Tensor forward(const Tensor& g) const;
  Grads<1> vjp(const Tensor& h, const Saved&, NeedsGrad) const;

 private:
  Tensor of_large_windows(const Tensor& g) const;
};

/// What the windows of a row divide by: the cells that count along H, times those along W, the latter `inner` times.
template <class T>
class Divisors {
 public:
  explicit Divisors(const PoolGeometry& p) : geometry_(p) {
    for (std::int64_t ow = 0; ow < p.out_width(); ++ow)
      along_w_.insert(along_w_.end(), static_cast<std::size_t>(p.inner), static_cast<T>(p.divisor(ow, 1)));
  }
  /// y[i] = x[i] / divisor[i] for the windows of row oh.
  void divide(const T* x, std::int64_t oh, T* y) const {
    kernel::vectorize([x, y, w = along_w_.data(), n = static_cast<std::int64_t>(along_w_.size()),
                       h = static_cast<T>(geometry_.divisor(oh, 0))] {
      DYGRAD_IVDEP
      for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] / (h * w[i]);
    });
  }

 private:
  const PoolGeometry& geometry_;
  std::vector<T> along_w_;
};

/// Divides every window of `from`, which has y's shape and order, by what its mean divides by; `from` may be `to`.
void divide_windows(const PoolGeometry& p, const Tensor& from, const Tensor& to) {
  dispatch_float(to.dtype(), "avg_pool2d", [&]<class T>() {
    const Divisors<T> divisors(p);
    p.for_each_row([&](std::int64_t plane, std::int64_t oh) {
      const std::int64_t start = p.y_at(plane, oh, 0);
      divisors.divide(from.data<T>() + start, oh, to.mutable_data<T>() + start);
    });
  });
}

struct AvgPool2D {
  static constexpr std::string_view name = "avg_pool2d";
  PoolGeometry geometry;

  Tensor forward(const Tensor& x) const {
    const PoolGeometry& p = geometry;
    if (p.max_window_elements() > kernel::kMaxPlainTerms) return of_large_windows(x);
    const Tensor dense = kernel::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    if (y.num_elements() == 0) return y;  // there are no rows, but Divisors would still allocate one
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* from = dense.data<T>();
      T* to = y.mutable_data<T>();
      const Divisors<T> divisors(p);
      p.for_each_row([&](std::int64_t plane, std::int64_t oh) {
        std::vector<T> buffer;
        T* row = to + p.y_at(plane, oh, 0);
        std::fill_n(row, p.out_width() * p.inner, T(0));
        p.for_each_tap(plane, oh,
                       [&](std::int64_t, std::int64_t at, std::int64_t y_at, std::int64_t n, std::int64_t step) {
                         kernel::vectorize([n, v = contiguous_or_packed(from + at, step, n, buffer), sum = to + y_at] {
                           DYGRAD_IVDEP
                           for (std::int64_t i = 0; i < n; ++i) sum[i] += v[i];
                         });
                       });
        divisors.divide(row, oh, row);
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {apply(AvgPool2DAdjoint{geometry}, g)}; }

 private:
  /// See Note [Sums of large windows].
  Tensor of_large_windows(const Tensor& x) const {
    const PoolGeometry& p = geometry;
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    if (y.num_elements() == 0) return y;
    if (p.out_height() == 1 && p.out_width() == 1) {
      const auto [h_begin, h_end, w_begin, w_end] = p.window(0, 0);
      const Tensor window = view::slice(view::slice(x, 2, h_begin, h_end), 3, w_begin, w_end);
      kernel::copy(kernel::reduce_sum(window, {2, 3}), y);
    } else {
      Shape rows = p.x_shape;
      rows[3] = p.out_width();
      const Tensor along_w = Tensor::empty(rows, x.dtype(), p.format);
      sum_windows(p.axis(1), x, along_w);
      sum_windows(p.axis(0), along_w, y);
    }
    divide_windows(p, y, y);
    return y;
  }
};

Tensor AvgPool2DAdjoint::forward(const Tensor& g) const {
  const PoolGeometry& p = geometry;
  if (p.max_overlap() > kernel::kMaxPlainTerms) return of_large_windows(g);
  const Tensor dense = kernel::contiguous(g, p.format);
  Tensor x = Tensor::empty(p.x_shape, g.dtype(), p.format);
  if (x.num_elements() == 0) return x;
  dispatch_float(g.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = x.mutable_data<T>();
    const Divisors<T> divisors(p);
    p.for_each_row(
        [&](std::int64_t plane, std::int64_t oh) {
          const std::int64_t start = p.y_at(plane, oh, 0);
          std::vector<T> shares(static_cast<std::size_t>(p.out_width() * p.inner));
          divisors.divide(from + start, oh, shares.data());
          p.zero_first_touched(plane, oh,
                               [=](std::int64_t at, std::int64_t count) { std::fill_n(to + at, count, T(0)); });
          p.for_each_tap(
              plane, oh,
              [&](std::int64_t, std::int64_t at, std::int64_t y_at, std::int64_t n, std::int64_t step) {
                kernel::vectorize([n, step, share = shares.data() + (y_at - start), sum = to + at] {
                  DYGRAD_IVDEP
                  for (std::int64_t i = 0; i < n; ++i) sum[i * step] += share[i];
                });
              },
              /*by_window=*/true);
        },
        /*is_sequential=*/true);
  });
  return x;
}

Tensor AvgPool2DAdjoint::of_large_windows(const Tensor& g) const {
  const PoolGeometry& p = geometry;
  Tensor x = Tensor::empty(p.x_shape, g.dtype(), p.format);
  if (x.num_elements() == 0) return x;
  const Tensor shares = Tensor::empty(p.y_shape, g.dtype(), p.format);
  divide_windows(p, kernel::contiguous(g, p.format), shares);
  Shape rows = p.y_shape;
  rows[3] = p.width();
  const Tensor along_w = Tensor::empty(rows, g.dtype(), p.format);
  sum_covering_windows(p.axis(1), shares, along_w);
  sum_covering_windows(p.axis(0), along_w, x);
  return x;
}

Grads<1> AvgPool2DAdjoint::vjp(const Tensor& h, const Saved&, NeedsGrad) const {
  return {apply(AvgPool2D{geometry}, h)};
}

}  // namespace

Tensor avg_pool2d(const Tensor& x, const Pool2DOptions& options) {
  return apply(AvgPool2D{detail::make_pool_geometry(AvgPool2D::name, x, options)}, x);
}

}  // namespace dygrad
