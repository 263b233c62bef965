#include <dygrad/autograd/ops/reduce/reduce.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/detail/softmax_jacobian.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/reduction.h>
#include <dygrad/core/kernels/strided_loop.h>
#include <dygrad/core/simd/vector_math.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

/// What a reduction does to the shape. `kept` still has extents of 1 at the axes, `to` need not.
struct ReducedAxes {
  Axes axes;
  Shape from, kept, to;

  ReducedAxes(const Tensor& x, const Axes& list, bool keepdim, std::string_view op)
      : axes(normalize_axes(list, x.rank(), op)), from(x.shape()), kept(kernel::reduced_shape(from, axes)), to(kept) {
    if (keepdim) return;
    for (int i = axes.rank() - 1; i >= 0; --i) to.erase(static_cast<int>(axes[i]));
  }
  /// Number of elements behind each result.
  std::int64_t count() const {
    std::int64_t product = 1;
    for (std::int64_t axis : axes) product *= from[static_cast<int>(axis)];
    return product;
  }
  /// A kernel's result under the shape asked for.
  Tensor shaped(const Tensor& reduced) const { return to == kept ? reduced : *view::reshape(reduced, to); }
  /// Differentiable: repeats a tensor of the result's shape over what was reduced. A view.
  Tensor broadcast_back(const Tensor& y) const { return expand(to == kept ? y : reshape(y, kept), from); }
};

struct Sum {
  static constexpr std::string_view name = "sum";
  ReducedAxes reduction;
  Tensor forward(const Tensor& x) const { return reduction.shaped(kernel::reduce_sum(x, reduction.axes)); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {reduction.broadcast_back(g)}; }
};

/// Divides sums by the number of their terms, in place.
void divide(const Tensor& sums, std::int64_t count) {
  dispatch_float(sums.dtype(), "mean", [&]<class T>() {
    kernel::map_into<T, T>([n = static_cast<T>(count)](T v) { return v / n; }, sums, sums);
  });
}

struct Mean {
  static constexpr std::string_view name = "mean";
  ReducedAxes reduction;
  Tensor forward(const Tensor& x) const {
    const Tensor sums = kernel::reduce_sum(x, reduction.axes);
    divide(sums, reduction.count());
    return reduction.shaped(sums);
  }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    return {reduction.broadcast_back(g / static_cast<double>(reduction.count()))};
  }
};

template <bool kLargest>
struct MinMax {
  static constexpr std::string_view name = kLargest ? "max" : "min";
  ReducedAxes reduction;
  Tensor forward(const Tensor& x) const {
    return reduction.shaped(kLargest ? kernel::reduce_max(x, reduction.axes) : kernel::reduce_min(x, reduction.axes));
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_output(); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    const Tensor x = saved[0].detach();
    const Tensor wins = equal(x, reduction.broadcast_back(saved.output().detach()));
    const Tensor count = reduction.shaped(kernel::reduce_sum(kernel::cast(wins, x.dtype()), reduction.axes));
    // Chosen rather than multiplied: 0 times an infinite gradient is NaN. Where NaN won, none is equal to it.
    const Tensor others =
        where(count == 0, full({}, std::numeric_limits<double>::quiet_NaN(), x.dtype()), zeros_like(count));
    return {where(wins, reduction.broadcast_back(g / count), reduction.broadcast_back(others))};
  }
};

template <bool kLargest>
Tensor extremum(const Tensor& x, const Axes& axes, bool keepdim) {
  using Op = MinMax<kLargest>;
  detail::check_defined(Op::name, "x", x);
  if (!is_floating(x.dtype())) detail::fail_not_floating(Op::name, x.dtype());
  const ReducedAxes reduction(x, axes, keepdim, Op::name);
  if (reduction.count() == 0) {
    throw ShapeError(Message(Op::name, "nothing to choose from.")
                         .line("x {}, axes {}", x.shape(), reduction.axes)
                         .expected("extents of at least 1 along the reduced axes")
                         .got("0 elements")
                         .fix("leave empty tensors out, or reduce along other axes"));
  }
  return apply(Op{reduction}, x);
}

template <bool kLargest>
Tensor arg_extremum(std::string_view op, const Tensor& x, int axis, bool keepdim) {
  detail::check_defined(op, "x", x);
  axis = normalize_axis(axis, x.rank(), op);
  Shape shape = x.shape();
  Strides strides = x.strides();
  const std::int64_t extent = x.rank() == 0 ? 1 : shape[axis];
  const std::int64_t step = x.rank() == 0 ? 0 : strides[axis];
  if (extent == 0) {
    throw ShapeError(Message(op, "nothing to choose from.")
                         .line("x {}, axis {}", x.shape(), axis)
                         .expected("an extent of at least 1")
                         .got("0")
                         .fix("leave empty tensors out, or reduce along another axis"));
  }
  if (x.rank() > 0) shape[axis] = 1;
  const Tensor first = view::strided(x, shape, strides, x.impl()->offset);
  const Tensor index = Tensor::empty(shape, int64);
  dispatch_numeric(x.dtype(), op, [&]<class T>() {
    const kernel::StridedLoop loop({&index, &first});
    loop.run(
        [&](const kernel::StridedLoop::Offsets& at, std::int64_t n) {
          for (std::int64_t i = 0; i < n; ++i) {
            const T* values = x.data<T>() + at[1] + i * loop.inner_stride(1);
            std::int64_t best = 0;
            for (std::int64_t k = 1; k < extent; ++k) {
              const T champion = values[best * step];
              const T value = values[k * step];
              const bool wins = kLargest ? value > champion : value < champion;
              if (wins || (value != value && champion == champion)) best = k;
            }
            index.mutable_data<std::int64_t>()[at[0] + i * loop.inner_stride(0)] = best;
          }
        },
        std::max<std::int64_t>(kernel::kElementwiseGrain / extent, 1));
  });
  if (keepdim || x.rank() == 0) return index;
  Shape without = shape;
  without.erase(axis);
  return *view::reshape(index, without);
}

// The mean is rounded to the dtype, which for values far from 0 is as much as their distances. So what the rounding
// left is taken off the distances, too.
struct Var {
  static constexpr std::string_view name = "var";
  ReducedAxes reduction;
  double freedom;

  Tensor forward(const Tensor& x) const {
    const auto means = [&](const Tensor& of) {
      Tensor sums = kernel::reduce_sum(of, reduction.axes);
      divide(sums, reduction.count());
      return view::expand(sums, x.shape());
    };
    const Tensor squares = kernel::map(
        name, [](auto v, auto m) { return v - m; }, x, means(x));
    const Tensor left = means(squares);
    return dispatch_float(x.dtype(), name, [&]<class T>() {
      kernel::map_into<T, T, T>([](T v, T m) { return (v - m) * (v - m); }, squares, squares, left);
      const Tensor sums = kernel::reduce_sum(squares, reduction.axes);
      kernel::map_into<T, T>([f = static_cast<T>(freedom)](T v) { return v / f; }, sums, sums);
      return reduction.shaped(sums);
    });
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    const Tensor rough = saved[0] - mean(saved[0].detach(), reduction.axes, true);
    const Tensor distance = rough - mean(rough, reduction.axes, true);
    return {reduction.broadcast_back(g * (2 / freedom)) * distance};
  }
};

/// exp(x) / sum(exp(x)) over the axes, zero where all x are -inf: softmax, and logsumexp's derivative. From x itself,
/// since x less a rounded logarithm has lost what matters where x is large.
struct ExpShares {
  static constexpr std::string_view name = "exp_shares";
  ReducedAxes reduction;

  Tensor forward(const Tensor& x) const {
    if (x.num_elements() == 0) return kernel::empty_like(x, x.dtype());
    // Infinity leaves nothing to the others.
    const auto shifted_exp = []<class T>(T v, T m) {
      constexpr T kMax = std::numeric_limits<T>::max(), kInfinity = std::numeric_limits<T>::infinity();
      const T of_infinity = v > kMax ? 0 : -kInfinity;
      return vec::exp(m > kMax ? of_infinity : v - (m < -kMax ? 0 : m));
    };
    const auto share = []<class T>(T e, T sum) { return sum == 0 ? 0 : e / sum; };
    const Tensor terms =
        kernel::map(name, shifted_exp, x, view::expand(kernel::reduce_max(x, reduction.axes), x.shape()));
    const Tensor sums = view::expand(kernel::reduce_sum(terms, reduction.axes), x.shape());
    dispatch_float(x.dtype(), name, [&]<class T>() { kernel::map_into<T, T, T>(share, terms, terms, sums); });
    return terms;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_output(); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    return {detail::softmax_vjp(g, saved.output(), reduction.axes)};
  }
};

struct LogSumExp {
  static constexpr std::string_view name = "logsumexp";
  ReducedAxes reduction;
  Tensor forward(const Tensor& x) const {
    const auto shifted_exp = [](auto v, auto m) { return vec::exp(v - m); };
    const auto finite_or_zero = [](auto m) { return std::isinf(m) ? decltype(m){0} : m; };
    if (reduction.count() == 0)
      return reduction.shaped(full(reduction.kept, -std::numeric_limits<double>::infinity(), x.dtype()));
    const Tensor shift = kernel::map(name, finite_or_zero, kernel::reduce_max(x, reduction.axes));
    const Tensor shifts = view::expand(shift, x.shape());
    const Tensor sums = kernel::reduce_sum(kernel::map(name, shifted_exp, x, shifts), reduction.axes);
    if (x.num_elements() == 0 || !has_lost(sums)) {
      return reduction.shaped(kernel::map(
          name, [](auto s, auto m) { return std::log(s) + m; }, sums, shift));
    }
    // Where the largest is nearly the whole sum, the others are added up alone.
    const auto other_exp = [](auto v, auto m) { return v == m ? 0 : vec::exp(v - m); };
    const Tensor others = kernel::reduce_sum(kernel::map(name, other_exp, x, shifts), reduction.axes);
    return reduction.shaped(kernel::map(
        name, [](auto s, auto o, auto m) { return (s >= 1 && s < kLost ? std::log1p(o) : std::log(s)) + m; }, sums,
        others, shift));
  }
  static constexpr double kLost = 1.5;
  static bool has_lost(const Tensor& sums) { return any(sums < kLost); }  // not of the least one: NaN would propagate
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    return {reduction.broadcast_back(g) * apply(ExpShares{reduction}, saved[0])};
  }
};

void check_floating(const Tensor& x, std::string_view op) {
  detail::check_defined(op, "x", x);
  if (!is_floating(x.dtype())) detail::fail_not_floating(op, x.dtype());
}

void check_bool(const Tensor& x, std::string_view op) {
  detail::check_defined(op, "x", x);
  if (x.dtype() != boolean) {
    throw DtypeError(Message(op, "needs a bool tensor.")
                         .expected("bool")
                         .got("{}", x.dtype())
                         .fix("compare first, as in any(x != 0)"));
  }
}

}  // namespace

Tensor sum(const Tensor& x, const Axes& axes, bool keepdim) {
  detail::check_defined(Sum::name, "x", x);
  return apply(Sum{ReducedAxes(x, axes, keepdim, Sum::name)}, x);
}

Tensor mean(const Tensor& x, const Axes& axes, bool keepdim) {
  check_floating(x, Mean::name);
  return apply(Mean{ReducedAxes(x, axes, keepdim, Mean::name)}, x);
}

Tensor max(const Tensor& x, const Axes& axes, bool keepdim) { return extremum<true>(x, axes, keepdim); }
Tensor min(const Tensor& x, const Axes& axes, bool keepdim) { return extremum<false>(x, axes, keepdim); }

Tensor argmax(const Tensor& x, int axis, bool keepdim) { return arg_extremum<true>("argmax", x, axis, keepdim); }
Tensor argmin(const Tensor& x, int axis, bool keepdim) { return arg_extremum<false>("argmin", x, axis, keepdim); }

Tensor var(const Tensor& x, const Axes& axes, bool keepdim, int correction) {
  check_floating(x, "var");
  const ReducedAxes reduction(x, axes, keepdim, "var");
  // As numpy and torch: NaN (0 / 0) or infinity when there are no degrees of freedom left.
  const auto freedom = static_cast<double>(std::max<std::int64_t>(reduction.count() - correction, 0));
  return apply(Var{reduction, freedom}, x);
}

Tensor logsumexp(const Tensor& x, const Axes& axes, bool keepdim) {
  check_floating(x, LogSumExp::name);
  return apply(LogSumExp{ReducedAxes(x, axes, keepdim, LogSumExp::name)}, x);
}

namespace {
/// How many elements are true.
std::int64_t count_true(std::string_view op, const Tensor& x) {
  check_bool(x, op);
  return detail::with_out_of_memory(
      op, [&] { return kernel::reduce_sum(x, normalize_axes({}, x.rank(), op)).item<std::int64_t>(); });
}
}  // namespace

bool any(const Tensor& x) { return count_true("any", x) > 0; }
bool all(const Tensor& x) { return count_true("all", x) == x.num_elements(); }

}  // namespace dygrad
