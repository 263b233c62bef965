#include <dygrad/autograd/ops/reduce/softmax.h>

#include <array>
#include <cmath>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/detail/softmax_jacobian.h>
#include <dygrad/autograd/ops/reduce/detail/softmax_kernel.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

struct Softmax {
  static constexpr std::string_view name = "softmax";
  int axis;
  Tensor forward(const Tensor& x) const {
    const Tensor y = kernel::empty_like(x, x.dtype());
    dispatch_float(x.dtype(), name, [&]<class T>() {
      kernel::for_each_block<T>(axis, x, &y, {}, [](const auto& in, const auto& out, const auto&, const auto&) {
        const kernel::ExpSums<T> exps(in, out);
        std::array<T, kernel::kBlockLines> scale;
        for (std::size_t j = 0; j < static_cast<std::size_t>(in.lines); ++j) scale[j] = static_cast<T>(1 / exps.sum[j]);
        kernel::map_lines<T>({out.data, out.length, out.lines, out.step}, out, scale.data(),
                             [](T e, T factor) { return e * factor; });
      });
    });
    return y;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_output(); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    return {detail::softmax_vjp(g, saved.output(), {axis})};
  }
};

struct LogSoftmax {
  static constexpr std::string_view name = "log_softmax";
  int axis;
  Tensor forward(const Tensor& x) const {
    const Tensor y = kernel::empty_like(x, x.dtype());
    dispatch_float(x.dtype(), name, [&]<class T>() {
      kernel::for_each_block<T>(axis, x, &y, {}, [](const auto& in, const auto& out, const auto&, const auto&) {
        const kernel::ExpSums<T> exps(in, {});
        std::array<T, kernel::kBlockLines> log_sum;
        for (std::size_t j = 0; j < static_cast<std::size_t>(in.lines); ++j)
          log_sum[j] = static_cast<T>(exps.log_sum(in, static_cast<std::int64_t>(j)));
        kernel::map_lines<T>(in, out, exps.largest.data(),
                             [](T v, T largest) { return kernel::below_largest(v, largest); });
        kernel::map_lines<T>({out.data, out.length, out.lines, out.step}, out, log_sum.data(),
                             [](T v, T log_of_sum) { return v - log_of_sum; });
      });
    });
    return y;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_output(); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const {
    return {detail::log_softmax_vjp(g, exp(saved.output()), {axis})};
  }
};

/// A number counts as a line of one element.
template <class Op>
Tensor along(const Tensor& x, int axis) {
  detail::check_defined(Op::name, "x", x);
  if (!is_floating(x.dtype())) detail::fail_not_floating(Op::name, x.dtype());
  axis = normalize_axis(axis, x.rank(), Op::name);
  if (x.rank() == 0) return along<Op>(x.reshape(Shape(1)), 0).reshape({});
  return apply(Op{axis}, x);
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) { return along<Softmax>(x, axis); }
Tensor log_softmax(const Tensor& x, int axis) { return along<LogSoftmax>(x, axis); }

}  // namespace dygrad
