#include <dygrad/backends/gemm/gemm.h>

#include <limits>

#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/common/direct_convolution.h>
#include <dygrad/backends/common/epilogue.h>
#include <dygrad/backends/common/magnitude.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/gemm/blas.h>
#include <dygrad/backends/gemm/kernels.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

using Kind = Problem::Kind;
constexpr MemoryFormat kChannelsLast = MemoryFormat::channels_last;

Tensor activations(const Tensor& x) { return kernel::contiguous(x, kChannelsLast); }

/// Weights as [C, kh, kw, O/G] in memory.
Tensor packed_weights(const Tensor& w) { return w.is_contiguous(kChannelsLast) ? w : kernel::clone(w, kChannelsLast); }

/// Runs kernel(a, b, result) for either float type and returns the result, channels-last.
template <class Kernel>
Tensor compute(const Tensor& a, const Tensor& b, const Shape& shape, const Kernel& kernel) {
  const Tensor result = Tensor::empty(shape, a.dtype(), kChannelsLast);
  dispatch_float(a.dtype(), "gemm", [&]<class T>() { kernel(a.data<T>(), b.data<T>(), result.mutable_data<T>()); });
  return result;
}

/// BLAS counts in int. Element counts bound every extent and distance that a call may see.
constexpr std::int64_t kMaxElements = std::numeric_limits<int>::max();

class Columns final : public SplitK {
 public:
  std::string_view name() const override { return "columns"; }
  std::string implementation(const Problem&) const override { return "cblas"; }

  bool supports(const Problem& problem) const override {
    return problem.kind != Kind::matmul && is_floating(problem.dtype) && num_elements(problem.w) <= kMaxElements &&
           problem.conv->groups * problem.w[1] <= kMaxElements && fits_offsets(conv2d_sizes(problem));
  }

  double estimate(const Problem& problem) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const auto count = [](std::int64_t number) { return static_cast<double>(number); };
    const double positions = count(s.n * s.h * s.w), number = count(size_of(problem.dtype));
    constexpr double kCall = 0.4e-6, kProduct = 0.25e-6;  // seconds: to start, and for each product of matrices
    constexpr double kSegment = 4e-9, kCopied = 0.075e-9, kWeight = 0.8e-9;  // of columns, a byte, and of weights, one
    constexpr double kBlasRate = 0.9;                                        // of the nominal one
    const std::int64_t width = s.filters_in_group() * s.taps();
    const double use = problem.kind == Kind::conv2d ? 1 : cost::lane_use(width, 16);
    const double columns = positions * count(s.o * s.taps());
    const double products = cost::flop(s) / (kBlasRate * use * cost::flop_rate(problem.dtype));
    const double copies = kSegment * positions * count(s.groups * s.taps()) + kCopied * number * columns;
    return kCall + kProduct * count(s.groups) + kWeight * count(num_elements(s.w_shape())) +
           cost::seconds(products + copies, cost::bytes(s, problem.dtype) / cost::kBandwidth,
                         num_chunks(cost::flop(s) / 2, s.n * s.h * s.w));
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& a, const Tensor& b,
                     const Epilogue& epilogue) const override {
    const Conv2DSizes s = conv2d_sizes(problem);
    const detail::GrantedThreads granted;
    gemm::make_buffers(name_of(problem.kind), cost::flop(s) / 2);
    if (problem.kind == Kind::conv2d_weights) {
      const Tensor packed = compute(activations(a), activations(b), s.w_shape(),
                                    [&](auto... arrays) { gemm::conv2d_weights(s, arrays...); });
      if (!is_finite(packed))
        return compute_direct(problem, a, b, epilogue);       // see Note [Padding zeros and non-finite values]
      return kernel::clone(packed, MemoryFormat::row_major);  // the order parameters have
    }
    if (problem.kind == Kind::conv2d && !magnitude_of_weights(b).is_finite())
      return compute_direct(problem, a, b, epilogue);
    const Tensor result = compute(activations(a), packed_weights(b), result_shape(problem), [&](auto... arrays) {
      if (problem.kind == Kind::conv2d_transpose) gemm::conv2d_transpose(s, arrays...);
      else gemm::conv2d(s, arrays...);
    });
    apply_epilogue(epilogue, result);
    return result;
  }
};

class Products final : public SplitK {
 public:
  std::string_view name() const override { return "matmul"; }
  std::string implementation(const Problem&) const override { return "cblas"; }

  bool supports(const Problem& problem) const override {
    return problem.kind == Kind::matmul && is_floating(problem.dtype) &&
           std::max(num_elements(problem.x), num_elements(problem.w)) <= kMaxElements;
  }

  double estimate(const Problem& problem) const override {
    const double flop = 2.0 * static_cast<double>(num_elements(problem.x)) * static_cast<double>(problem.w.back());
    return cost::seconds(flop / cost::flop_rate(problem.dtype), 0);
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue&) const override {
    const detail::GrantedThreads granted;
    gemm::make_buffers("matmul", static_cast<double>(num_elements(problem.x)) * static_cast<double>(problem.w.back()));
    return dispatch_float(a.dtype(), "matmul", [&]<class T>() {
      return batched_matmul<T>(a, b, [](auto m, auto n, auto k, auto left, auto right, T* result, auto leading) {
        gemm::multiply(m, n, k, left, right, false, result, leading);
      });
    });
  }
};

class GemmBackend final : public Backend {
 public:
  GemmBackend() { gemm::use_one_blas_thread(); }
  std::string_view name() const override { return "gemm"; }
  std::string description() const override { return "matrix products of " + gemm::blas_description(); }
  std::span<const Algorithm* const> algorithms() const override { return algorithms_; }

 private:
  Columns columns_;
  Products products_;
  std::array<const Algorithm*, 2> algorithms_{&columns_, &products_};
};

}  // namespace

std::unique_ptr<Backend> make_gemm_backend() { return std::make_unique<GemmBackend>(); }

}  // namespace dygrad
