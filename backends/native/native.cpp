#include <dygrad/backends/native/native.h>

#include <array>

#include <dygrad/backends/native/depthwise/algorithms.h>
#include <dygrad/backends/native/igemm/algorithms.h>
#include <dygrad/backends/native/microkernels/kernels.h>
#include <dygrad/backends/native/winograd/algorithms.h>
#include <dygrad/core/base/parallel.h>

namespace dygrad {

namespace {

class NativeBackend final : public Backend {
 public:
  std::string_view name() const override { return "native"; }
  std::string description() const override {
    return std::string("dygrad's own kernels, ") + native::kernels<float>().instruction_set + ", " +
           std::to_string(num_threads()) + " threads";
  }
  std::span<const Algorithm* const> algorithms() const override { return algorithms_; }

 private:
  // Of equal estimates the first one wins: exact products.
  std::array<const Algorithm*, 21> algorithms_{&native::depthwise(),
                                               &native::subpixel(),
                                               &native::scatter(),
                                               &native::convolution(),
                                               &native::weights_gradient(),
                                               &native::weights_by_taps(),
                                               &native::winograd(),
                                               &native::winograd_data(),
                                               &native::winograd_gradient(),
                                               &native::wide_winograd(),
                                               &native::wide_winograd_data(),
                                               &native::wide_winograd_gradient(),
                                               &native::matmul(),
                                               &native::bf16_subpixel(),
                                               &native::bf16_scatter(),
                                               &native::bf16_convolution(),
                                               &native::bf16_weights_gradient(),
                                               &native::bf16_weights_by_taps(),
                                               &native::bf16_winograd(),
                                               &native::bf16_winograd_data(),
                                               &native::bf16_winograd_gradient()};
};

}  // namespace

std::unique_ptr<Backend> make_native_backend() { return std::make_unique<NativeBackend>(); }

}  // namespace dygrad
