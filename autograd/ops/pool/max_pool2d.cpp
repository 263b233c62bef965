#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/pool/detail/pool_geometry.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/simd/accurate_sum.h>
#include <dygrad/core/simd/vectorize.h>

namespace dygrad {

namespace {

using detail::contiguous_or_packed;
using detail::PoolGeometry;
using detail::PoolWindow;

// max_pool2d saves the argmax of each window, as an index into the window. Gathering at known indices is linear, and
// its adjoint scatters. `argmax` has y's order of elements; it is uint8 unless a window has more than 256 cells.
template <class F>
void dispatch_argmax(const Tensor& argmax, const F& f) {
  if (argmax.dtype() == DType::uint8) f(argmax.data<std::uint8_t>());
  else f(argmax.data<std::int64_t>());
}

/// Offsets in x from a window's first cell to its index-th. Those of small windows, of which there may be many, are
/// looked up.
class ArgmaxOffsets {
 public:
  explicit ArgmaxOffsets(const PoolGeometry& p) : kernel_width_(p.size[1]), row_(p.width() * p.inner), inner_(p.inner) {
    for (std::int64_t i = 0; p.has_small_windows() && i < p.taps(); ++i) table_.push_back(offset(i));
  }
  std::int64_t of(std::uint8_t index) const { return table_[index]; }
  std::int64_t of(std::int64_t index) const { return offset(index); }

 private:
  std::int64_t offset(std::int64_t index) const {
    return index / kernel_width_ * row_ + index % kernel_width_ * inner_;
  }

  std::int64_t kernel_width_, row_, inner_;
  std::vector<std::int64_t> table_;
};

/// Calls f(offset in x of the argmax, offset in y) for each window of a row, and each of its `inner` channels.
template <class Index, class F>
void for_each_argmax(const PoolGeometry& p, const Index* argmax, const ArgmaxOffsets& offsets, std::int64_t plane,
                     std::int64_t oh, const F& f) {
  const std::int64_t top = oh * p.stride[0] - p.padding[0];
  std::int64_t y = p.y_at(plane, oh, 0);
  for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
    const std::int64_t x = p.x_at(plane, top, ow * p.stride[1] - p.padding[1]);
    for (std::int64_t i = 0; i < p.inner; ++i, ++y) f(x + i + offsets.of(argmax[y]), y);
  }
}

struct MaxPool2DBackward {
  static constexpr std::string_view name = "max_pool2d_grad";
  PoolGeometry geometry;
  Tensor argmax;
  Tensor forward(const Tensor& g) const;
  Grads<1> vjp(const Tensor& h, const Saved&, NeedsGrad) const;

 private:
  /// For pixels that may be the maximum of many windows.
  void scatter_with_accurate_sums(const Tensor& g, const Tensor& x, const ArgmaxOffsets& offsets) const {
    dispatch_float(g.dtype(), name, [&]<class T>() {
      using Sum = kernel::AccurateSum<T>;
      const std::int64_t cells = x.num_elements();
      const Tensor workspace = zeros(Shape(cells, sizeof(Sum) / sizeof(double)), float64);
      Sum* sums = reinterpret_cast<Sum*>(workspace.mutable_data<double>());
      const T* from = g.data<T>();
      dispatch_argmax(argmax, [&](const auto* indices) {
        geometry.for_each_row(
            [&](std::int64_t plane, std::int64_t oh) {
              for_each_argmax(geometry, indices, offsets, plane, oh,
                              [=](std::int64_t cell, std::int64_t i) { sums[cell].add(from[i]); });
            },
            /*is_sequential=*/true);
      });
      T* to = x.mutable_data<T>();
      for (std::int64_t i = 0; i < cells; ++i) to[i] = sums[i].value();
    });
  }
};

struct GatherByArgmax {
  static constexpr std::string_view name = "gather_by_argmax";
  PoolGeometry geometry;
  Tensor argmax;

  Tensor forward(const Tensor& x) const {
    const PoolGeometry& p = geometry;
    const Tensor dense = kernel::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    const ArgmaxOffsets offsets(p);
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* from = dense.data<T>();
      T* to = y.mutable_data<T>();
      dispatch_argmax(argmax, [&](const auto* indices) {
        p.for_each_row([&](std::int64_t plane, std::int64_t oh) {
          for_each_argmax(p, indices, offsets, plane, oh,
                          [=](std::int64_t cell, std::int64_t i) { to[i] = from[cell]; });
        });
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {apply(MaxPool2DBackward{geometry, argmax}, g)};
  }
};

Tensor MaxPool2DBackward::forward(const Tensor& g) const {
  const PoolGeometry& p = geometry;
  const Tensor dense = kernel::contiguous(g, p.format);
  Tensor x = Tensor::empty(p.x_shape, g.dtype(), p.format);
  const ArgmaxOffsets offsets(p);
  if (p.max_overlap() > kernel::kMaxPlainTerms) {
    scatter_with_accurate_sums(dense, x, offsets);
    return x;
  }
  dispatch_float(g.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = x.mutable_data<T>();
    dispatch_argmax(argmax, [&](const auto* indices) {
      p.for_each_row(
          [&](std::int64_t plane, std::int64_t oh) {
            p.zero_first_touched(plane, oh,
                                 [=](std::int64_t at, std::int64_t count) { std::fill_n(to + at, count, T(0)); });
            for_each_argmax(p, indices, offsets, plane, oh,
                            [=](std::int64_t cell, std::int64_t i) { to[cell] += from[i]; });
          },
          /*is_sequential=*/true);
    });
  });
  return x;
}

Grads<1> MaxPool2DBackward::vjp(const Tensor& h, const Saved&, NeedsGrad) const {
  return {apply(GatherByArgmax{geometry, argmax}, h)};
}

struct MaxPool2D {
  static constexpr std::string_view name = "max_pool2d";
  PoolGeometry geometry;
  Tensor argmax;

  Tensor forward(const Tensor& x) {
    const PoolGeometry& p = geometry;
    const Tensor dense = kernel::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    argmax = Tensor::empty(p.y_shape, p.has_small_windows() ? DType::uint8 : DType::int64, p.format);
    dispatch_float(x.dtype(), name, [&]<class T>() {
      // While they are compared, indices are as wide as the numbers they belong to, so that both fill vectors alike.
      using Wide = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
      if (p.has_small_windows()) find_argmax<T, Wide>(dense, y, argmax.mutable_data<std::uint8_t>());
      else if (p.taps() <= std::numeric_limits<Wide>::max())
        find_argmax<T, Wide>(dense, y, argmax.mutable_data<std::int64_t>());
      else find_argmax<T, std::int64_t>(dense, y, argmax.mutable_data<std::int64_t>());
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {apply(MaxPool2DBackward{geometry, argmax}, g)};
  }

 private:
  template <class T, class Wide, class Index>
  void find_argmax(const Tensor& x, const Tensor& y, Index* to_argmax) const {
    const PoolGeometry& p = geometry;
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    const std::int64_t row = p.out_width() * p.inner;
    p.for_each_row([&](std::int64_t plane, std::int64_t oh) {
      const std::int64_t start = p.y_at(plane, oh, 0);
      std::vector<T> buffer;
      std::vector<Wide> best_index(static_cast<std::size_t>(row));
      std::fill_n(to + start, row, -std::numeric_limits<T>::infinity());
      for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
        const PoolWindow window = p.window(oh, ow);
        const std::int64_t h = oh * p.stride[0] - p.padding[0];
        const std::int64_t w = ow * p.stride[1] - p.padding[1];
        const std::int64_t first = (window.h_begin - h) * p.size[1] + window.w_begin - w;
        std::fill_n(best_index.data() + ow * p.inner, p.inner, static_cast<Wide>(first));
      }
      p.for_each_tap(plane, oh,
                     [&](std::int64_t tap, std::int64_t at, std::int64_t y_at, std::int64_t n, std::int64_t step) {
                       update_max<T, Wide>(contiguous_or_packed(from + at, step, n, buffer), n, static_cast<Wide>(tap),
                                           to + y_at, best_index.data() + (y_at - start));
                     });
      kernel::vectorize([n = row, wide = best_index.data(), narrow = to_argmax + start] {
        DYGRAD_IVDEP
        for (std::int64_t i = 0; i < n; ++i) narrow[i] = static_cast<Index>(wide[i]);
      });
    });
  }

  /// The first maximum stays, and the first NaN.
  template <class T, class Wide>
  static void update_max(const T* x, std::int64_t n, Wide tap, T* best, Wide* best_index) {
    kernel::vectorize([=] {
      DYGRAD_IVDEP
      for (std::int64_t i = 0; i < n; ++i) {
        const T v = x[i], b = best[i];
        const bool wins = !(v <= b) & (b == b);
        best[i] = wins ? v : b;
        best_index[i] = wins ? tap : best_index[i];
      }
    });
  }
};

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2DOptions& options) {
  return apply(MaxPool2D{detail::make_pool_geometry(MaxPool2D::name, x, options), {}}, x);
}

}  // namespace dygrad
