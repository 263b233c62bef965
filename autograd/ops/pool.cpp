#include <algorithm>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/pool.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/core/parallel.h>
#include <dygrad/core/strided_loop.h>

namespace dygrad {

namespace {

/// The part of one window that lies inside the image, [begin, end) in each direction, and what a mean divides by.
struct Window {
  std::int64_t h_begin, h_end, w_begin, w_end, divisor;
};

/// Both memory orders have one address: element (job, h, w, lane) lies at ((job * H + h) * W + w) * lanes + lane, where
///   row-major      jobs = N * C, lanes = 1;
///   channels-last  jobs = N,     lanes = C.
struct Geometry {
  Pool2DOptions options;
  Shape x_shape, y_shape;
  MemoryFormat format = MemoryFormat::row_major;
  std::int64_t jobs = 0, lanes = 1;

  std::int64_t height() const { return x_shape[2]; }
  std::int64_t width() const { return x_shape[3]; }
  std::int64_t out_height() const { return y_shape[2]; }
  std::int64_t out_width() const { return y_shape[3]; }

  Window window(std::int64_t oh, std::int64_t ow) const {
    const auto [kh, kw] = options.size;
    const auto [ph, pw] = options.padding;
    const std::int64_t h = oh * options.stride[0] - ph;
    const std::int64_t w = ow * options.stride[1] - pw;
    Window result{std::max<std::int64_t>(h, 0), std::min(h + kh, height()), std::max<std::int64_t>(w, 0),
                  std::min(w + kw, width()), 0};
    result.divisor = options.exclusive ? (result.h_end - result.h_begin) * (result.w_end - result.w_begin)
                                       : (std::min(h + kh, height() + ph) - h) * (std::min(w + kw, width() + pw) - w);
    return result;
  }

  /// Calls f(job, oh) for every row of windows, on several threads; with_overlap keeps the rows of a job on one thread.
  template <class F>
  void for_each_row(const F& f, bool with_overlap = false) const {
    const std::int64_t row = std::max<std::int64_t>(out_width() * lanes, 1);
    const std::int64_t rows_each = with_overlap ? out_height() : 1;
    const std::int64_t grain = std::max<std::int64_t>(raw::kElementwiseGrain / (row * rows_each), 1);
    parallel_for(jobs * out_height() / rows_each, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin * rows_each; r < end * rows_each; ++r) f(r / out_height(), r % out_height());
    });
  }

  std::int64_t x_at(std::int64_t job, std::int64_t cell) const { return (job * height() * width() + cell) * lanes; }
  std::int64_t y_at(std::int64_t job, std::int64_t oh, std::int64_t ow) const {
    return ((job * out_height() + oh) * out_width() + ow) * lanes;
  }
};

// max_pool2d picks one cell of each window, by its number h * W + w; picking known cells is linear, and its adjoint
// puts values back there. `cells` has y's order of elements.
struct PutCells {
  static constexpr std::string_view name = "max_pool2d_grad";
  Geometry geometry;
  Tensor cells;
  Tensor forward(const Tensor& g) const;
  Grads<1> vjp(const Tensor& h, const Saved&, Need) const;
};

struct PickCells {
  static constexpr std::string_view name = "max_pool2d_pick";
  Geometry geometry;
  Tensor cells;

  Tensor forward(const Tensor& x) const {
    const Geometry& p = geometry;
    const Tensor dense = raw::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    const std::int64_t* cell = cells.data<std::int64_t>();
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* from = dense.data<T>();
      T* to = y.mutable_data<T>();
      p.for_each_row([&](std::int64_t job, std::int64_t oh) {
        for (std::int64_t i = p.y_at(job, oh, 0); i < p.y_at(job, oh + 1, 0); ++i) {
          to[i] = from[p.x_at(job, cell[i]) + i % p.lanes];
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const { return {apply(PutCells{geometry, cells}, g)}; }
};

Tensor PutCells::forward(const Tensor& g) const {
  const Geometry& p = geometry;
  const Tensor dense = raw::contiguous(g, p.format);
  Tensor x = Tensor::empty(p.x_shape, g.dtype(), p.format);
  raw::fill(x, 0);
  const std::int64_t* cell = cells.data<std::int64_t>();
  dispatch_float(g.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = x.mutable_data<T>();
    p.for_each_row(
        [&](std::int64_t job, std::int64_t oh) {
          for (std::int64_t i = p.y_at(job, oh, 0); i < p.y_at(job, oh + 1, 0); ++i) {
            to[p.x_at(job, cell[i]) + i % p.lanes] += from[i];
          }
        },
        /*with_overlap=*/true);
  });
  return x;
}

Grads<1> PutCells::vjp(const Tensor& h, const Saved&, Need) const { return {apply(PickCells{geometry, cells}, h)}; }

struct MaxPool2D {
  static constexpr std::string_view name = "max_pool2d";
  Geometry geometry;
  Tensor cells;

  Tensor forward(const Tensor& x) {
    const Geometry& p = geometry;
    const Tensor dense = raw::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    cells = Tensor::empty(p.y_shape, DType::int64, p.format);
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* from = dense.data<T>();
      p.for_each_row(
          [&, to = y.mutable_data<T>(), cell = cells.mutable_data<std::int64_t>()](std::int64_t job, std::int64_t oh) {
            for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
              const Window window = p.window(oh, ow);
              T* best = to + p.y_at(job, oh, ow);
              std::int64_t* best_cell = cell + p.y_at(job, oh, ow);
              const std::int64_t first = window.h_begin * p.width() + window.w_begin;
              std::copy_n(from + p.x_at(job, first), p.lanes, best);
              std::fill_n(best_cell, p.lanes, first);
              for (std::int64_t h = window.h_begin; h < window.h_end; ++h) {
                for (std::int64_t w = window.w_begin; w < window.w_end; ++w) {
                  const std::int64_t here = h * p.width() + w;
                  const T* values = from + p.x_at(job, here);
                  for (std::int64_t lane = 0; lane < p.lanes; ++lane) {
                    const T v = values[lane];
                    const bool wins = v > best[lane] || (v != v && best[lane] == best[lane]);  // the first NaN stays
                    best[lane] = wins ? v : best[lane];
                    best_cell[lane] = wins ? here : best_cell[lane];
                  }
                }
              }
            }
          });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const { return {apply(PutCells{geometry, cells}, g)}; }
};

// Linear, so its vjp is its adjoint, and the adjoint's vjp is the pool.
struct AvgPool2DAdjoint {
  static constexpr std::string_view name = "avg_pool2d_grad";
  Geometry geometry;
  Tensor forward(const Tensor& g) const;
  Grads<1> vjp(const Tensor& h, const Saved&, Need) const;
};

struct AvgPool2D {
  static constexpr std::string_view name = "avg_pool2d";
  Geometry geometry;

  Tensor forward(const Tensor& x) const {
    const Geometry& p = geometry;
    const Tensor dense = raw::contiguous(x, p.format);
    Tensor y = Tensor::empty(p.y_shape, x.dtype(), p.format);
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const T* from = dense.data<T>();
      p.for_each_row([&, to = y.mutable_data<T>()](std::int64_t job, std::int64_t oh) {
        for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
          const Window window = p.window(oh, ow);
          T* mean = to + p.y_at(job, oh, ow);
          std::fill_n(mean, p.lanes, T(0));
          for (std::int64_t h = window.h_begin; h < window.h_end; ++h) {
            for (std::int64_t w = window.w_begin; w < window.w_end; ++w) {
              const T* values = from + p.x_at(job, h * p.width() + w);
              for (std::int64_t lane = 0; lane < p.lanes; ++lane) mean[lane] += values[lane];
            }
          }
          const T divisor = static_cast<T>(window.divisor);
          for (std::int64_t lane = 0; lane < p.lanes; ++lane) mean[lane] /= divisor;
        }
      });
    });
    return y;
  }
  Grads<1> vjp(const Tensor& g, const Saved&, Need) const { return {apply(AvgPool2DAdjoint{geometry}, g)}; }
};

Tensor AvgPool2DAdjoint::forward(const Tensor& g) const {
  const Geometry& p = geometry;
  const Tensor dense = raw::contiguous(g, p.format);
  Tensor x = Tensor::empty(p.x_shape, g.dtype(), p.format);
  raw::fill(x, 0);
  dispatch_float(g.dtype(), name, [&]<class T>() {
    const T* from = dense.data<T>();
    T* to = x.mutable_data<T>();
    p.for_each_row(
        [&](std::int64_t job, std::int64_t oh) {
          for (std::int64_t ow = 0; ow < p.out_width(); ++ow) {
            const Window window = p.window(oh, ow);
            const T* values = from + p.y_at(job, oh, ow);
            const T divisor = static_cast<T>(window.divisor);
            for (std::int64_t h = window.h_begin; h < window.h_end; ++h) {
              for (std::int64_t w = window.w_begin; w < window.w_end; ++w) {
                T* sum = to + p.x_at(job, h * p.width() + w);
                for (std::int64_t lane = 0; lane < p.lanes; ++lane) sum[lane] += values[lane] / divisor;
              }
            }
          }
        },
        /*with_overlap=*/true);
  });
  return x;
}

Grads<1> AvgPool2DAdjoint::vjp(const Tensor& h, const Saved&, Need) const { return {apply(AvgPool2D{geometry}, h)}; }

void check_options(std::string_view op, const Pool2DOptions& options) {
  const auto check = [&](std::string_view what, const std::array<std::int64_t, 2>& got, bool ok,
                         std::string_view need) {
    if (!ok) {
      throw InvalidArgument(
          Message(op, fmt::format("{} is out of range.", what)).expected("{}", need).got("{} x {}", got[0], got[1]));
    }
  };
  constexpr std::int64_t kMost = std::int64_t{1} << 31;  // keeps every sum of them within 64 bits
  const auto inside = [](const std::array<std::int64_t, 2>& values, std::int64_t least) {
    return values[0] >= least && values[1] >= least && values[0] <= kMost && values[1] <= kMost;
  };
  const auto& [size, stride, padding, ceil_mode, exclusive] = options;
  check("size", size, inside(size, 1), "1 <= size <= 2^31");
  check("stride", stride, inside(stride, 1), "1 <= stride <= 2^31");
  check("padding", padding, inside(padding, 0) && padding[0] < size[0] && padding[1] < size[1],
        fmt::format("0 <= padding < size = {} x {}", size[0], size[1]));
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

Geometry make_geometry(std::string_view op, const Tensor& x, const Pool2DOptions& options) {
  if (x.rank() != 4) {
    throw ShapeError(Message(op, "the input is not a batch of images.")
                         .line("x {}", x.shape())
                         .expected("rank 4, [N, C, H, W]")
                         .got("rank {}", x.rank())
                         .fix("reshape it"));
  }
  check_options(op, options);
  Geometry result{.options = options, .x_shape = x.shape(), .y_shape = x.shape()};
  for (int d = 0; d < 2; ++d) {
    const auto i = static_cast<std::size_t>(d);
    std::int64_t& extent = result.y_shape[2 + d];
    extent = output_extent(extent, options.size[i], options.stride[i], options.padding[i], options.ceil_mode);
    if (extent < 1) {
      throw ShapeError(Message(op, "the window is larger than the padded image.")
                           .line("x {}, size {} x {}, padding {} x {}", x.shape(), options.size[0], options.size[1],
                                 options.padding[0], options.padding[1])
                           .expected("an output extent of at least 1")
                           .got("none along {}", d == 0 ? "H" : "W")
                           .fix("use a smaller window or more padding"));
    }
  }
  const bool channels_last = !x.is_contiguous() && x.is_contiguous(MemoryFormat::channels_last);
  result.format = channels_last ? MemoryFormat::channels_last : MemoryFormat::row_major;
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
