#include <dygrad/backends/reference/reference.h>

#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/common/epilogue.h>
#include <dygrad/backends/common/matmul_sizes.h>
#include <dygrad/backends/reference/kernels.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

using Kind = Problem::Kind;

/// Runs kernel(a, b, result) on dense row-major arrays.
template <class Kernel>
Tensor compute(const Tensor& a, const Tensor& b, const Shape& shape, const Kernel& kernel) {
  const Tensor dense_a = kernel::contiguous(a), dense_b = kernel::contiguous(b);
  Tensor result = Tensor::empty(shape, a.dtype());
  const auto run = [&]<class T>() { kernel(dense_a.data<T>(), dense_b.data<T>(), result.mutable_data<T>()); };
  if (a.dtype() == DType::int64) run.template operator()<std::int64_t>();
  else dispatch_float(a.dtype(), "reference", run);
  return result;
}

double count(std::int64_t number) { return static_cast<double>(number); }

class Loops final : public Algorithm {
 public:
  std::string_view name() const override { return "loops"; }
  std::string implementation(const Problem&) const override { return "plain"; }

  bool supports(const Problem& problem) const override {
    return is_floating(problem.dtype) || problem.dtype == DType::int64;
  }

  double estimate(const Problem& problem) const override {
    constexpr double kProduct = 0.4e-9, kLine = 5e-9, kNumber = 2e-9;  // seconds for each; a line is an inner loop
    const bool is_product = problem.kind == Kind::matmul;
    double products, lines;
    if (is_product) {
      products = count(num_elements(problem.x)) * count(problem.w.back());
      lines = count(num_elements(problem.x));
    } else {
      const Conv2DSizes s = conv2d_sizes(problem);
      products = cost::flop(s) / 2;
      lines = products / count(s.w);
      if (problem.kind == Kind::conv2d_weights) products *= 2, lines /= 5;
    }
    const std::int64_t result = num_elements(is_product ? problem.y : result_shape(problem));
    const std::int64_t all = num_elements(problem.x) + num_elements(problem.w) + num_elements(problem.y);
    // Operands are read, and written and read again as dense row-major arrays; each number of the result is a sum.
    const double bytes = count(size_of(problem.dtype)) * (3 * count(all - result) + count(result));
    const double sums = problem.kind == Kind::conv2d_weights ? 20e-9 : kNumber;
    return cost::seconds(kProduct * products + kLine * lines + sums * count(result), bytes / cost::kBandwidth);
  }

  Tensor run(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue& epilogue) const override {
    if (problem.kind == Kind::matmul) {
      const MatmulSizes s(a, b);
      return compute(a, b, s.c_shape, [&](auto... arrays) { reference::matmul(s.batch, s.m, s.n, s.k, arrays...); });
    }
    const Conv2DSizes s = conv2d_sizes(problem);
    Tensor result = compute(a, b, result_shape(problem), [&](auto... arrays) {
      if (problem.kind == Kind::conv2d_transpose) reference::conv2d_transpose(s, arrays...);
      else if (problem.kind == Kind::conv2d) reference::conv2d(s, arrays...);
      else reference::conv2d_weights(s, arrays...);
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
