#include <dygrad/layers/init/bilinear.h>

#include <cmath>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

void Bilinear::operator()(Tensor& parameter) const {
  const Shape& shape = parameter.shape();
  if (shape.rank() != 4 || shape[2] != shape[3]) {
    throw ShapeError(Message("Bilinear", "the weight is not made of square kernels.")
                         .expected("shape [C, O, k, k]")
                         .got("{}", shape)
                         .fix("use a square filter_size, or another initializer"));
  }
  const std::int64_t k = shape[2];
  const std::int64_t f = (k + 1) / 2;
  const double center = static_cast<double>(2 * f - 1 - f % 2) / static_cast<double>(2 * f);
  const auto weight = [&](std::int64_t i) {
    return 1 - std::fabs(static_cast<double>(i) / static_cast<double>(f) - center);
  };
  detail::with_out_of_memory("Bilinear", [&] {
    std::vector<double> kernel;
    for (std::int64_t y = 0; y < k; ++y) {
      for (std::int64_t x = 0; x < k; ++x) kernel.push_back(weight(y) * weight(x));
    }
    const Tensor plane = kernel::cast(from_vector(kernel, {k, k}), parameter.dtype());
    parameter.set_value(view::expand(plane, shape));
  });
}

}  // namespace dygrad
