#include <dygrad/tests/bench/support/calibration.h>

#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/ops/matmul.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/random.h>

namespace dygrad::bench {

namespace {

double product_rate(DType dtype, std::int64_t n, int runs) {
  const NoGrad guard;
  const Tensor a = uniform({n, n}, -1, 1, {.dtype = dtype}), b = uniform({n, n}, -1, 1, {.dtype = dtype});
  const Timing timing = measure([&] { matmul(a, b); }, {.seconds = 0, .warm_up = 0, .min_samples = runs});
  return 2.0 * static_cast<double>(n * n * n) / timing.fastest;
}

}  // namespace

Stream time_stream(bool quick) {
  const std::int64_t count = quick ? 1 << 20 : 1 << 24;
  std::vector<float> from(static_cast<std::size_t>(count), 1.0F), to(from.size());
  float scale = 1;
  const auto pass = [&] {
    scale += 1;  // or the passes would be one
    parallel_for(count, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
      const float* x = from.data();
      float* y = to.data();
      for (std::int64_t i = begin; i < end; ++i) y[i] = scale * x[i];
    });
  };
  return {measure(pass, {.seconds = 0, .warm_up = 0, .min_samples = quick ? 3 : 15}),
          2.0 * static_cast<double>(count) * sizeof(float)};
}

Calibration calibrate(DType dtype, bool quick) {
  const Stream stream = time_stream(quick);
  const double products =
      quick ? product_rate(dtype, 256, 3) : std::max(product_rate(dtype, 1024, 20), product_rate(dtype, 2048, 8));
  return {products, stream.bytes / stream.timing.fastest};
}

}  // namespace dygrad::bench
