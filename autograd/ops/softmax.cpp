#include <dygrad/autograd/ops/softmax.h>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/autograd/ops/reduce.h>
#include <dygrad/autograd/ops/softmax_kernel.h>
#include <dygrad/core/copy.h>

namespace dygrad {

namespace {

struct Softmax {
  static constexpr std::string_view name = "softmax";
  int axis;
  Tensor forward(const Tensor& x) const {
    Tensor y = raw::empty_like(x, x.dtype());
    const std::int64_t n = x.shape()[axis];
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const auto one_line = [n](raw::Line<T> out, raw::Line<const T> in) { raw::softmax_line(out, in, n); };
      raw::for_each_line<T, const T>(axis, one_line, y, x);
    });
    return y;
  }
  static Keep keep(Need) { return keep_output(); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, Need) const {
    const Tensor& y = saved.output();
    return {y * (g - sum(g * y, {axis}, true))};
  }
};

struct LogSoftmax {
  static constexpr std::string_view name = "log_softmax";
  int axis;
  Tensor forward(const Tensor& x) const {
    Tensor y = raw::empty_like(x, x.dtype());
    const std::int64_t n = x.shape()[axis];
    dispatch_float(x.dtype(), name, [&]<class T>() {
      const auto one_line = [n](raw::Line<T> out, raw::Line<const T> in) {
        const raw::ExpSum<T> exps(in, n);
        const T log_sum = static_cast<T>(std::log(exps.sum));
        for (std::int64_t i = 0; i < n; ++i) out[i] = in[i] - exps.largest - log_sum;
      };
      raw::for_each_line<T, const T>(axis, one_line, y, x);
    });
    return y;
  }
  static Keep keep(Need) { return keep_output(); }
  Grads<1> vjp(const Tensor& g, const Saved& saved, Need) const {
    return {g - exp(saved.output()) * sum(g, {axis}, true)};
  }
};

/// A number counts as a line of one element.
template <class Op>
Tensor along(const Tensor& x, int axis) {
  if (!is_floating(x.dtype())) detail::fail_not_floating(Op::name, x.dtype());
  axis = normalize_axis(axis, x.rank(), Op::name);
  if (x.rank() == 0) return along<Op>(x.reshape(Shape(1)), 0).reshape({});
  return apply(Op{axis}, x);
}

}  // namespace

Tensor softmax(const Tensor& x, int axis) { return along<Softmax>(x, axis); }
Tensor log_softmax(const Tensor& x, int axis) { return along<LogSoftmax>(x, axis); }

}  // namespace dygrad
