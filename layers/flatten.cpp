#include <dygrad/layers/flatten.h>

#include <dygrad/autograd/ops/shape/shape.h>

namespace dygrad {

Flatten::Flatten() : Flatten(Options{}) {}
Flatten::Flatten(Options options) : options_(options) {}

Tensor Flatten::forward(const Tensor& x) {
  return with_name([&] { return flatten(x, options_.start_axis, options_.stop_axis); });
}

}  // namespace dygrad
