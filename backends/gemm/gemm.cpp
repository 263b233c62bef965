#include <dygrad/backends/gemm/gemm.h>

#include <limits>

#include <dygrad/backends/gemm/blas.h>
#include <dygrad/backends/gemm/kernels.h>
#include <dygrad/backends/problem_text.h>
#include <dygrad/core/copy.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/verbose.h>

namespace dygrad {

namespace {

constexpr MemoryFormat kChannelsLast = MemoryFormat::channels_last;

Tensor activations(const Tensor& x) { return raw::contiguous(x, kChannelsLast); }

/// Weights as [C, kh, kw, O/G] in memory.
Tensor packed_weights(const Tensor& w) { return w.is_contiguous(kChannelsLast) ? w : raw::clone(w, kChannelsLast); }

/// Runs kernel(a, b, result) for either float type and returns the result, channels-last.
template <class Kernel>
Tensor compute(const Conv2DSizes& s, const Tensor& a, const Tensor& b, const Shape& shape, const Kernel& kernel) {
  const Tensor result = Tensor::empty(shape, a.dtype(), kChannelsLast);
  if (s.is_empty()) {
    raw::fill(result, 0);
    return result;
  }
  dispatch_float(a.dtype(), "gemm", [&]<class T>() { kernel(a.data<T>(), b.data<T>(), result.mutable_data<T>()); });
  return result;
}

class GemmBackend final : public Backend {
 public:
  GemmBackend() { gemm::use_one_blas_thread(); }

  std::string_view name() const override { return "gemm"; }
  std::string description() const override { return "matrix products of " + gemm::blas_description(); }

  bool supports(const Problem& problem) const override {
    if (!is_floating(problem.dtype)) return false;
    // BLAS counts in int. Element counts of x and w bound every extent and distance that a call may see.
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    if (problem.kind == Problem::Kind::matmul) {
      return std::max(num_elements(problem.x), num_elements(problem.w)) <= kMost;
    }
    return num_elements(problem.w) <= kMost && problem.conv->groups * problem.w[1] <= kMost;
  }

  Tensor deconv2d(const Conv2DParams& p, const Tensor& x, const Tensor& w) override {
    const detail::VerboseCall call;
    const Conv2DSizes s = conv2d_sizes(p, x.dim(0), w.shape());
    const Tensor y = compute(s, activations(x), packed_weights(w), s.y_shape(),
                             [&](auto... arrays) { gemm::deconv2d(s, arrays...); });
    if (call) call.done("deconv2d", problem_text(s, x.dtype()), name(), "gemm+col2im");
    return y;
  }

  Tensor deconv2d_data(const Conv2DParams& p, const Tensor& g, const Tensor& w) override {
    const detail::VerboseCall call;
    const Conv2DSizes s = conv2d_sizes(p, g.dim(0), w.shape());
    const Tensor x = compute(s, activations(g), packed_weights(w), s.x_shape(),
                             [&](auto... arrays) { gemm::deconv2d_data(s, arrays...); });
    if (call) call.done("deconv2d_data", problem_text(s, g.dtype()), name(), "im2col+gemm");
    return x;
  }

  Tensor deconv2d_weights(const Conv2DParams& p, const Tensor& x, const Tensor& g,
                          std::array<std::int64_t, 2> kernel) override {
    const detail::VerboseCall call;
    const Conv2DSizes s = conv2d_sizes(p, x.dim(0), {x.dim(1), g.dim(1) / p.groups, kernel[0], kernel[1]});
    const Tensor packed = compute(s, activations(x), activations(g), s.w_shape(),
                                  [&](auto... arrays) { gemm::deconv2d_weights(s, arrays...); });
    Tensor w = raw::clone(packed, MemoryFormat::row_major);  // the order parameters have
    if (call) call.done("deconv2d_weights", problem_text(s, x.dtype()), name(), "im2col+gemm");
    return w;
  }

  Tensor matmul(const Tensor& a, const Tensor& b) override {
    const detail::VerboseCall call;
    Tensor c = dispatch_float(a.dtype(), "matmul", [&]<class T>() {
      return batched_matmul<T>(a, b, [](auto m, auto n, auto k, auto left, auto right, T* result, auto leading) {
        gemm::multiply(m, n, k, left, right, false, result, leading);
      });
    });
    if (call) call.done("matmul", problem_text(a, b), name(), "gemm");
    return c;
  }
};

}  // namespace

std::unique_ptr<Backend> make_gemm_backend() { return std::make_unique<GemmBackend>(); }

}  // namespace dygrad
