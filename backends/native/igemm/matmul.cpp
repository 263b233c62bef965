// Matrix products: the rows of a are pixels, the columns of b are filters of one tap.
#include <dygrad/backends/common/cost.h>
#include <dygrad/backends/common/matmul_sizes.h>
#include <dygrad/backends/common/split_k.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/igemm/convolve.h>
#include <dygrad/backends/native/packing/operands.h>

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

class Matmul final : public SplitK {
 public:
  std::string_view name() const override { return "product"; }
  std::string implementation(const Problem&) const override { return kernels<float>().instruction_set; }
  bool supports(const Problem& problem) const override {
    return problem.kind == Problem::Kind::matmul && is_floating(problem.dtype);
  }

  double estimate(const Problem& problem) const override {
    constexpr double kPack = 1.5e-9;  // seconds for each number of b
    const double products = static_cast<double>(num_elements(problem.x)) * static_cast<double>(problem.w.back());
    return cost::seconds(2 * products / (0.95 * cost::product_rate(problem.dtype)), 0) +
           kPack * static_cast<double>(num_elements(problem.w));
  }

  Tensor run_whole(const Problem& problem, const Tensor& a, const Tensor& b, const Epilogue&) const override {
    return dispatch_float(problem.dtype, name(), [&]<class T>() { return run_on<T>(a, b); });
  }

 private:
  template <class T>
  static Tensor run_on(const Tensor& a, const Tensor& b) {
    const MatmulSizes s(a, b);
    const Tensor rows = row_major(a), c = Tensor::empty(s.c_shape, a.dtype());
    if (c.num_elements() == 0) return c;
    std::vector<PanelRow> panel_rows;
    std::vector<std::int64_t> lanes;
    for (std::int64_t k = 0; k < s.k; ++k) panel_rows.push_back({k, k * b.strides()[b.rank() - 2], kZero});
    for (std::int64_t n = 0; n < s.n; ++n) lanes.push_back(n * b.strides()[b.rank() - 1]);
    const Tensor packed = Tensor::empty({std::max<std::int64_t>(panels_size<T>(s.k, s.n), 1)}, a.dtype());
    constexpr double kWorthAThread = 4e5;
    const double products = static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
    const auto pieces =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(std::min(products / kWorthAThread, 1e6)), 1, num_threads());
    const PatchPlan<T> plan({1, 1, s.m, s.k, 0, s.k, 1, s.m, 1, 1, {0}, {0}}, pieces, true);
    const Scratch<T> buffers(pieces, plan.scratch_size());
    for (std::int64_t batch = 0; batch < s.batch; ++batch) {
      const Panels<T> panels =
          pack_panels(b.data<T>() + matrix_offset(b, batch), panel_rows, lanes, packed.mutable_data<T>());
      for_each_piece(pieces, [&](std::int64_t piece) {
        plan.convolve(rows.data<T>() + batch * s.m * s.k, panels, nullptr,
                      {c.mutable_data<T>() + batch * s.m * s.n, 0, 0, s.n}, {piece, pieces}, buffers.of_piece(piece));
      });
    }
    return c;
  }
};

}  // namespace

const Algorithm& matmul() {
  static const Matmul& instance = *new const Matmul;
  return instance;
}

}  // namespace dygrad::native
