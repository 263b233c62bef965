#include <algorithm>
#include <array>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/pool/detail/pool_geometry.h>
#include <dygrad/autograd/ops/pool/detail/pool_sums.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/kernels/strided_loop.h>
#include <dygrad/core/kernels/strided_pack.h>
#include <dygrad/core/simd/long_sum.h>
#include <dygrad/core/simd/vectorize.h>

namespace dygrad {

namespace {

using detail::neighbours;
using detail::PoolGeometry;
using detail::PoolWindow;
using detail::sum_holders;
using detail::sum_windows;

// max_pool2d saves the argmax of each window, as an index into the window. Gathering at known indices is linear, and its
// adjoint scatters. `argmax` has y's order of elements; it is uint8 unless a window has more than 256 cells.
template <class F>
void dispatch_argmax(const Tensor& argmax, const F& f) {
  if (argmax.dtype() == DType::uint8) f(argmax.data<std::uint8_t>());
  else f(argmax.data<std::int64_t>());
}

/// Offsets in x from a window's first cell to its index-th. Those of small windows, of which there may be many, are
/// looked up.
class ArgmaxOffsets {
 public:
  explicit ArgmaxOffsets(const PoolGeometry& p) : kernel_width_(p.size[1]), row_(p.width() * p.lanes), lanes_(p.lanes) {
    for (std::int64_t i = 0; p.has_small_windows() && i < p.taps(); ++i) table_.push_back(offset(i));
  }
  std::int64_t of(std::uint8_t index) const { return table_[index]; }
  std::int64_t of(std::int64_t index) const { return offset(index); }

 private:
  std::int64_t offset(std::int64_t index) const {
    return index / kernel_width_ * row_ + index % kernel_width_ * lanes_;
  }

  std::int64_t kernel_width_, row_, lanes_;
  std::vector<std::int64_t> table_;
};

/// Calls f(offset in x of the argmax, offset in y) for each window of a row, and each lane of it.
template <class Index, class F>
void for_each_argmax(const PoolGeometry& p, const Index* argmax, const ArgmaxOffsets& offsets, std::int64_t job,
                     std::int64_t oh, const F& f) {
  const std::int64_t top = oh * p.stride[0] - p.padding[0];
  std::int64_t y = p.y_at(job, oh, 0);
  for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
    const std::int64_t x = p.x_at(job, top, ow * p.stride[1] - p.padding[1]);
    for (std::int64_t lane = 0; lane < p.lanes; ++lane, ++y) f(x + lane + offsets.of(argmax[y]), y);
  }
}

struct MaxPool2DBackward {
  static constexpr std::string_view name = "max_pool2d_grad";
  PoolGeometry geometry;
  Tensor argmax;
  Tensor forward(const Tensor& g) const;
  Grads<1> vjp(const Tensor& h, const Saved&, NeedsGrad) const;

 private:
  /// Where one cell may win many windows.
  void scatter_long(const Tensor& g, const Tensor& x, const ArgmaxOffsets& offsets) const {
    dispatch_float(g.dtype(), name, [&]<class T>() {
      using Sum = kernel::LongSum<T>;
      const std::int64_t cells = x.num_elements();
      const Tensor workspace = zeros(Shape(cells, sizeof(Sum) / sizeof(double)), float64);
      Sum* sums = reinterpret_cast<Sum*>(workspace.mutable_data<double>());
      const T* from = g.data<T>();
      dispatch_argmax(argmax, [&](const auto* indices) {
        geometry.for_each_row(
            [&](std::int64_t job, std::int64_t oh) {
              for_each_argmax(geometry, indices, offsets, job, oh,
                              [=](std::int64_t cell, std::int64_t i) { sums[cell].add(from[i]); });
            },
            /*with_overlap=*/true);
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
        p.for_each_row([&](std::int64_t job, std::int64_t oh) {
          for_each_argmax(p, indices, offsets, job, oh, [=](std::int64_t cell, std::int64_t i) { to[i] = from[cell]; });
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
  if (p.most_holders() > kernel::kShortSum) {
    scatter_long(dense, x, offsets);
    return x;
  }
  dispatch_float(g.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = x.mutable_data<T>();
    dispatch_argmax(argmax, [&](const auto* indices) {
      p.for_each_row(
          [&](std::int64_t job, std::int64_t oh) {
            p.for_new_elements(job, oh,
                               [=](std::int64_t at, std::int64_t count) { std::fill_n(to + at, count, T(0)); });
            for_each_argmax(p, indices, offsets, job, oh,
                            [=](std::int64_t cell, std::int64_t i) { to[cell] += from[i]; });
          },
          /*with_overlap=*/true);
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
    const std::int64_t row = p.out_width() * p.lanes;
    p.for_each_row([&](std::int64_t job, std::int64_t oh) {
      const std::int64_t start = p.y_at(job, oh, 0);
      std::vector<T> buffer;
      std::vector<Wide> best_index(static_cast<std::size_t>(row));
      std::fill_n(to + start, row, -std::numeric_limits<T>::infinity());
      for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
        const PoolWindow window = p.window(oh, ow);
        const std::int64_t h = oh * p.stride[0] - p.padding[0];
        const std::int64_t w = ow * p.stride[1] - p.padding[1];
        const std::int64_t first = (window.h_begin - h) * p.size[1] + window.w_begin - w;
        std::fill_n(best_index.data() + ow * p.lanes, p.lanes, static_cast<Wide>(first));
      }
      p.for_each_tap(job, oh,
                     [&](std::int64_t tap, std::int64_t at, std::int64_t y_at, std::int64_t n, std::int64_t step) {
                       take_larger<T, Wide>(neighbours(from + at, step, n, buffer), n, static_cast<Wide>(tap),
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
  static void take_larger(const T* x, std::int64_t n, Wide tap, T* best, Wide* best_index) {
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

// Linear, so its vjp is its adjoint, and the adjoint's vjp is the pool.
struct AvgPool2DAdjoint {
  static constexpr std::string_view name = "avg_pool2d_grad";
  PoolGeometry geometry;
  Tensor forward(const Tensor& g) const;
  Grads<1> vjp(const Tensor& h, const Saved&, NeedsGrad) const;

 private:
  Tensor of_large_windows(const Tensor& g) const;
};

/// What the windows of a row divide by: the cells that count along H, times those along W, the latter once per lane.
template <class T>
class Divisors {
 public:
  explicit Divisors(const PoolGeometry& p) : geometry_(p) {
    for (std::int64_t ow = 0; ow < p.out_width(); ++ow)
      along_w_.insert(along_w_.end(), static_cast<std::size_t>(p.lanes), static_cast<T>(p.counted(ow, 1)));
  }
  /// y[i] = x[i] / divisor[i] for the windows of row oh.
  void divide(const T* x, std::int64_t oh, T* y) const {
    kernel::vectorize([x, y, w = along_w_.data(), n = static_cast<std::int64_t>(along_w_.size()),
                       h = static_cast<T>(geometry_.counted(oh, 0))] {
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
    p.for_each_row([&](std::int64_t job, std::int64_t oh) {
      const std::int64_t start = p.y_at(job, oh, 0);
      divisors.divide(from.data<T>() + start, oh, to.mutable_data<T>() + start);
    });
  });
}

struct AvgPool2D {
  static constexpr std::string_view name = "avg_pool2d";
  PoolGeometry geometry;

  Tensor forward(const Tensor& x) const {
    const PoolGeometry& p = geometry;
    if (p.most_cells() > kernel::kShortSum) return of_large_windows(x);
    const Tensor dense = kernel::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    if (y.num_elements() == 0) return y;  // its rows, of which there is none, may be long
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* from = dense.data<T>();
      T* to = y.mutable_data<T>();
      const Divisors<T> divisors(p);
      p.for_each_row([&](std::int64_t job, std::int64_t oh) {
        std::vector<T> buffer;
        T* row = to + p.y_at(job, oh, 0);
        std::fill_n(row, p.out_width() * p.lanes, T(0));
        p.for_each_tap(job, oh,
                       [&](std::int64_t, std::int64_t at, std::int64_t y_at, std::int64_t n, std::int64_t step) {
                         kernel::vectorize([n, v = neighbours(from + at, step, n, buffer), sum = to + y_at] {
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
  if (p.most_holders() > kernel::kShortSum) return of_large_windows(g);
  const Tensor dense = kernel::contiguous(g, p.format);
  Tensor x = Tensor::empty(p.x_shape, g.dtype(), p.format);
  if (x.num_elements() == 0) return x;
  dispatch_float(g.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = x.mutable_data<T>();
    const Divisors<T> divisors(p);
    p.for_each_row(
        [&](std::int64_t job, std::int64_t oh) {
          const std::int64_t start = p.y_at(job, oh, 0);
          std::vector<T> shares(static_cast<std::size_t>(p.out_width() * p.lanes));
          divisors.divide(from + start, oh, shares.data());
          p.for_new_elements(job, oh, [=](std::int64_t at, std::int64_t count) { std::fill_n(to + at, count, T(0)); });
          p.for_each_tap(
              job, oh,
              [&](std::int64_t, std::int64_t at, std::int64_t y_at, std::int64_t n, std::int64_t step) {
                kernel::vectorize([n, step, share = shares.data() + (y_at - start), sum = to + at] {
                  DYGRAD_IVDEP
                  for (std::int64_t i = 0; i < n; ++i) sum[i * step] += share[i];
                });
              },
              /*by_window=*/true);
        },
        /*with_overlap=*/true);
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
  sum_holders(p.axis(1), shares, along_w);
  sum_holders(p.axis(0), along_w, x);
  return x;
}

Grads<1> AvgPool2DAdjoint::vjp(const Tensor& h, const Saved&, NeedsGrad) const {
  return {apply(AvgPool2D{geometry}, h)};
}

[[noreturn]] void fail_option(std::string_view op, std::string_view what, Pair got, std::string_view need) {
  throw InvalidArgument(Message(op, fmt::format("{} is out of range.", what))
                            .expected("{}", need)
                            .got("{} x {}", got.h, got.w)
                            .fix("choose {} within it, for height and width", what));
}

void check_options(std::string_view op, const Pool2DOptions& options) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;  // keeps every sum of them within 64 bits
  const auto inside = [](Pair values, std::int64_t least) {
    return values.h >= least && values.w >= least && values.h <= kMost && values.w <= kMost;
  };
  const auto& [size, stride, padding, ceil_mode, exclusive] = options;
  if (!inside(size, 1)) fail_option(op, "size", size, "1 <= size <= 2^31");
  if (!inside(stride, 1)) fail_option(op, "stride", stride, "1 <= stride <= 2^31");
  if (!inside(padding, 0) || padding.h >= size.h || padding.w >= size.w)
    fail_option(op, "padding", padding, fmt::format("0 <= padding < size = {} x {}", size.h, size.w));
}

/// Number of windows along one direction; 0 if none fits.
std::int64_t output_extent(std::int64_t extent, std::int64_t size, std::int64_t stride, std::int64_t padding,
                           bool ceil_mode) {
  const std::int64_t room = extent + 2 * padding - size;
  if (extent == 0 || room < 0) return 0;
  if (!ceil_mode) return room / stride + 1;
  const std::int64_t count = (room + stride - 1) / stride + 1;
  // A last window that would begin behind the image, in padding only, is dropped.
  return (count - 1) * stride >= extent + padding ? count - 1 : count;
}

PoolGeometry make_geometry(std::string_view op, const Tensor& x, const Pool2DOptions& options) {
  if (!is_floating(x.dtype())) detail::fail_not_floating(op, x.dtype());
  if (x.rank() != 4) {
    throw ShapeError(Message(op, "the input is not a batch of images.")
                         .line("x {}", x.shape())
                         .expected("rank 4, [N, C, H, W]")
                         .got("rank {}", x.rank())
                         .fix("reshape it"));
  }
  check_options(op, options);
  const auto both = [](Pair pair) { return std::array{pair.h, pair.w}; };
  PoolGeometry result{.size = both(options.size),
                      .stride = both(options.stride),
                      .padding = both(options.padding),
                      .exclusive = options.exclusive,
                      .x_shape = x.shape(),
                      .y_shape = x.shape()};
  for (int d = 0; d < 2; ++d) {
    const auto i = static_cast<std::size_t>(d);
    std::int64_t& extent = result.y_shape[2 + d];
    extent = output_extent(extent, result.size[i], result.stride[i], result.padding[i], options.ceil_mode);
    if (extent < 1) {
      throw ShapeError(Message(op, "the window is larger than the padded image.")
                           .line("x {}, size {} x {}, padding {} x {}", x.shape(), options.size.h, options.size.w,
                                 options.padding.h, options.padding.w)
                           .expected("an output extent of at least 1")
                           .got("none along {}", d == 0 ? "H" : "W")
                           .fix("use a smaller window or more padding"));
    }
  }
  result.format = x.memory_format().value_or(MemoryFormat::row_major);
  const bool channels_last = result.format == MemoryFormat::channels_last;
  result.jobs = channels_last ? x.shape()[0] : x.shape()[0] * x.shape()[1];
  result.lanes = channels_last ? x.shape()[1] : 1;
  return result;
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2DOptions& options) {
  return apply(MaxPool2D{make_geometry(MaxPool2D::name, x, options), {}}, x);
}

Tensor avg_pool2d(const Tensor& x, const Pool2DOptions& options) {
  return apply(AvgPool2D{make_geometry(AvgPool2D::name, x, options)}, x);
}

}  // namespace dygrad
