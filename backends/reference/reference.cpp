#include <dygrad/backends/reference/reference.h>

#include <dygrad/backends/cost.h>
#include <dygrad/backends/image_result.h>
#include <dygrad/backends/matmul_sizes.h>
#include <dygrad/backends/reference/kernels.h>
#include <dygrad/core/copy.h>

namespace dygrad {

namespace {

using Kind = Problem::Kind;

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

class Loops final : public Algorithm {
 public:
  std::string_view name() const override { return "loops"; }
  std::string implementation(const Problem&) const override { return "plain"; }

  bool supports(const Problem& problem) const override {
    return is_floating(problem.dtype) || problem.dtype == DType::int64;
  }

  double estimate(const Problem& problem) const override {
    constexpr double kSecondsPerProduct = 1e-9;
    if (problem.kind != Kind::matmul) return cost::seconds(kSecondsPerProduct * cost::flop(conv2d_sizes(problem)), 0);
    return cost::seconds(kSecondsPerProduct * static_cast<double>(num_elements(problem.x) * problem.w.back()), 0);
  }

  Tensor run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const override {
    if (problem.kind == Kind::matmul) {
      const MatmulSizes s(a, b);
      return compute(a, b, s.c_shape, [&](auto... arrays) { reference::matmul(s.batch, s.m, s.n, s.k, arrays...); });
    }
    const Conv2DSizes s = conv2d_sizes(problem);
    Tensor result = compute(a, b, result_shape(problem), [&](auto... arrays) {
      if (problem.kind == Kind::deconv2d) reference::deconv2d(s, arrays...);
      else if (problem.kind == Kind::deconv2d_data) reference::deconv2d_data(s, arrays...);
      else reference::deconv2d_weights(s, arrays...);
    });
    apply_epilogue(epilogue, result);
    return result;
  }
};

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }
  std::string description() const override { return "plain loops, the definition of every kernel"; }
  std::span<const Algorithm* const> algorithms() const override { return algorithms_; }

 private:
  Loops loops_;
  std::array<const Algorithm*, 1> algorithms_{&loops_};
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace dygrad
