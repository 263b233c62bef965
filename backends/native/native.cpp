#include <dygrad/backends/native/native.h>

#include <vector>

#include <dygrad/backends/native/depthwise/algorithms.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/core/base/parallel.h>

namespace dygrad {

namespace native {

namespace {

constexpr auto kFwd = Problem::Kind::conv2d_transpose;
constexpr auto kBwdData = Problem::Kind::conv2d;
constexpr auto kBwdWeights = Problem::Kind::conv2d_weights;
constexpr auto kMatmul = Problem::Kind::matmul;
constexpr auto kRounded = MathMode::bfloat16;

struct Row {
  AlgorithmKey key;
  MakeAlgorithm* make;
};
// Of equal estimates the first one wins: unrounded operands.
constexpr Row kTable[] = {
    {{{}, "depthwise"}, make_depthwise},
    {{kFwd, "subpixel"}, make_subpixel},
    {{kFwd, "gemm_col2im"}, make_gemm_col2im},
    {{kBwdData, "implicit_gemm"}, make_implicit_gemm},
    {{kBwdWeights, "implicit_gemm_weights"}, make_implicit_gemm_weights},
    {{kBwdWeights, "weights_by_taps"}, make_weights_by_taps},
    {{kFwd, "winograd_f2"}, make_winograd_f2},
    {{kBwdData, "winograd_f2"}, make_winograd_f2},
    {{kBwdWeights, "winograd_f2"}, make_winograd_f2_weights},
    {{kFwd, "winograd_f4"}, make_winograd_f4},
    {{kBwdData, "winograd_f4"}, make_winograd_f4},
    {{kBwdWeights, "winograd_f4"}, make_winograd_f4_weights},
    {{kMatmul, "matmul"}, make_matmul},
    {{kFwd, "bf16_subpixel", kRounded}, make_subpixel},
    {{kFwd, "bf16_gemm_col2im", kRounded}, make_gemm_col2im},
    {{kBwdData, "bf16_implicit_gemm", kRounded}, make_implicit_gemm},
    {{kBwdWeights, "bf16_implicit_gemm_weights", kRounded}, make_implicit_gemm_weights},
    {{kBwdWeights, "bf16_weights_by_taps", kRounded}, make_weights_by_taps},
    {{kFwd, "bf16_winograd_f2", kRounded}, make_winograd_f2},
    {{kBwdData, "bf16_winograd_f2", kRounded}, make_winograd_f2},
    {{kBwdWeights, "bf16_winograd_f2", kRounded}, make_winograd_f2_weights},
};

/// Never freed: prepacked weights identify algorithms by their addresses.
std::span<const Algorithm* const> all_algorithms() {
  static const std::vector<const Algorithm*>& all = *[] {
    std::vector<std::unique_ptr<Algorithm>> made;
    made.reserve(std::size(kTable));
    for (const Row& row : kTable) made.push_back(row.make(row.key));
    auto kept = std::make_unique<std::vector<const Algorithm*>>();
    kept->reserve(made.size());
    for (std::unique_ptr<Algorithm>& algorithm : made) kept->push_back(algorithm.release());
    return kept.release();
  }();
  return all;
}

class NativeBackend final : public Backend {
 public:
  std::string_view name() const override { return "native"; }
  std::string description() const override {
    return std::string("dygrad's own kernels, ") + kernels<float>().instruction_set + ", " +
           std::to_string(num_threads()) + " threads";
  }
  std::span<const Algorithm* const> algorithms() const override { return algorithms_; }

 private:
  std::span<const Algorithm* const> algorithms_ = all_algorithms();
};

}  // namespace

}  // namespace native

std::unique_ptr<Backend> make_native_backend() { return std::make_unique<native::NativeBackend>(); }

}  // namespace dygrad
