#include <dygrad/backends/reference/reference.h>

#include <dygrad/backends/matmul_sizes.h>
#include <dygrad/backends/problem_text.h>
#include <dygrad/backends/reference/kernels.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/verbose.h>

namespace dygrad {

namespace {

constexpr std::string_view kAlgorithm = "loops";

/// Runs kernel(a, b, result) on dense row-major arrays: int64 as it is, floats in float64, so that a float32 result
/// is the exact sum rounded once, but for float64's own error.
template <class Kernel>
Tensor compute(const Tensor& a, const Tensor& b, const Shape& shape, const Kernel& kernel) {
  const auto run = [&]<class T>() {
    const Tensor dense_a = raw::contiguous(raw::cast(a, dtype_of<T>()));
    const Tensor dense_b = raw::contiguous(raw::cast(b, dtype_of<T>()));
    const Tensor result = Tensor::empty(shape, dtype_of<T>());
    kernel(dense_a.data<T>(), dense_b.data<T>(), result.mutable_data<T>());
    return raw::cast(result, a.dtype());
  };
  return a.dtype() == DType::int64 ? run.template operator()<std::int64_t>() : run.template operator()<double>();
}

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  std::string description() const override { return "plain loops, the definition of every kernel"; }

  bool supports(const Problem& problem) const override {
    return is_floating(problem.dtype) || problem.dtype == DType::int64;
  }

  Tensor deconv2d(const Conv2DParams& p, const Tensor& x, const Tensor& w) override {
    const detail::VerboseCall call;
    const Conv2DSizes s = conv2d_sizes(p, x.dim(0), w.shape());
    Tensor y = compute(x, w, s.y_shape(), [&](auto... arrays) { reference::deconv2d(s, arrays...); });
    if (call) call.done("deconv2d", problem_text(s, x.dtype()), name(), kAlgorithm);
    return y;
  }

  Tensor deconv2d_data(const Conv2DParams& p, const Tensor& g, const Tensor& w) override {
    const detail::VerboseCall call;
    const Conv2DSizes s = conv2d_sizes(p, g.dim(0), w.shape());
    Tensor x = compute(g, w, s.x_shape(), [&](auto... arrays) { reference::deconv2d_data(s, arrays...); });
    if (call) call.done("deconv2d_data", problem_text(s, g.dtype()), name(), kAlgorithm);
    return x;
  }

  Tensor deconv2d_weights(const Conv2DParams& p, const Tensor& x, const Tensor& g,
                          std::array<std::int64_t, 2> kernel) override {
    const detail::VerboseCall call;
    const Conv2DSizes s = conv2d_sizes(p, x.dim(0), {x.dim(1), g.dim(1) / p.groups, kernel[0], kernel[1]});
    Tensor w = compute(x, g, s.w_shape(), [&](auto... arrays) { reference::deconv2d_weights(s, arrays...); });
    if (call) call.done("deconv2d_weights", problem_text(s, x.dtype()), name(), kAlgorithm);
    return w;
  }

  Tensor matmul(const Tensor& a, const Tensor& b) override {
    const detail::VerboseCall call;
    const MatmulSizes s(a, b);
    Tensor c = compute(a, b, s.c_shape, [&](auto... arrays) { reference::matmul(s.batch, s.m, s.n, s.k, arrays...); });
    if (call) call.done("matmul", problem_text(a, b), name(), kAlgorithm);
    return c;
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace dygrad
