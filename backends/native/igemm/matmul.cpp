// Matrix products: a 1x1 convolution, whose pixels are the rows of a and whose filters are the columns of b.
#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/common/matmul_sizes.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/implicit_gemm_plan.h>
#include <dygrad/backends/native/packing/workspace.h>

namespace dygrad::native {

namespace {

/// Offset of the matrix at a flattened batch index.
std::int64_t matrix_offset(const Tensor& x, std::int64_t batch) {
  std::int64_t offset = 0;
  for (int d = x.rank() - 3; d >= 0; --d) {
    offset += batch % x.shape()[d] * x.strides()[d];
    batch /= x.shape()[d];
  }
  return offset;
}

class Matmul final : public NativeAlgorithm {
 public:
  using NativeAlgorithm::NativeAlgorithm;

  double estimate(const Problem& problem) const override {
    constexpr double kPack = 1.5e-9;  // seconds for each element of b
    const double multiply_adds = static_cast<double>(num_elements(problem.x)) * static_cast<double>(problem.w.back());
    return cost::seconds(2 * multiply_adds / (0.95 * cost::flop_rate(problem.dtype)), 0) +
           kPack * static_cast<double>(num_elements(problem.w));
  }

  Tensor run_unsplit(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue&) const override {
    return dispatch_float(problem.dtype, name(), [&]<class T>() { return run_on<T>(a, b); });
  }

 protected:
  bool supports_sizes(const Problem& problem) const override { return is_floating(problem.dtype); }

 private:
  template <class T>
  static Tensor run_on(const Tensor& a, const Tensor& b) {
    const MatmulSizes s(a, b);
    const Tensor rows = row_major(a), c = Tensor::empty(s.c_shape, a.dtype());
    if (c.num_elements() == 0) return c;
    std::vector<PanelRow> panel_rows;
    std::vector<std::int64_t> column_offsets;
    for (std::int64_t k = 0; k < s.k; ++k) panel_rows.push_back({k, k * b.strides()[b.rank() - 2], kZero});
    for (std::int64_t n = 0; n < s.n; ++n) column_offsets.push_back(n * b.strides()[b.rank() - 1]);
    const Tensor packed = Tensor::empty({std::max<std::int64_t>(panels_size<T>(s.k, s.n), 1)}, a.dtype());
    constexpr double kWorthAThread = 4e5;
    const double multiply_adds = static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
    const auto chunks = std::clamp<std::int64_t>(
        static_cast<std::int64_t>(std::min(multiply_adds / kWorthAThread, 1e6)), 1, num_threads());
    const ImplicitGemmPlan<T> plan({1, 1, s.m, s.k, 0, s.k, 1, s.m, 1, 1, {0}, {0}}, chunks, true);
    const Workspace<T> buffers(chunks, plan.workspace_size());
    for (std::int64_t batch = 0; batch < s.batch; ++batch) {
      const Panels<T> panels =
          pack_panels(b.data<T>() + matrix_offset(b, batch), panel_rows, column_offsets, packed.mutable_data<T>());
      parallel_for_chunks(chunks, [&](std::int64_t chunk) {
        plan.convolve(rows.data<T>() + batch * s.m * s.k, panels, nullptr,
                      {c.mutable_data<T>() + batch * s.m * s.n, 0, 0, s.n}, {chunk, chunks}, buffers.of_chunk(chunk));
      });
    }
    return c;
  }
};

}  // namespace

std::unique_ptr<Algorithm> make_matmul(const AlgorithmKey& key) { return std::make_unique<Matmul>(key); }

}  // namespace dygrad::native
