#include <dygrad/layers/init/assign.h>

#include <algorithm>
#include <cmath>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {
std::int64_t count_finite(const Tensor& x) {
  if (!is_floating(x.dtype())) return x.num_elements();
  return dispatch_float(x.dtype(), "Assign", [&]<class T>() {
    const Tensor dense = kernel::contiguous(x);
    return static_cast<std::int64_t>(std::ranges::count_if(dense.read<T>(), [](T v) { return std::isfinite(v); }));
  });
}
}  // namespace

void Assign::operator()(Tensor& parameter) const {
  if (!value.defined())
    throw InvalidArgument(Message("Assign", "the value is undefined.").fix("assign a tensor to it first"));
  if (value.shape() != parameter.shape()) {
    throw ShapeError(Message("Assign", "the value does not fit the parameter.")
                         .expected("shape {}", parameter.shape())
                         .got("{}", value.shape())
                         .fix("give a value of the parameter's shape"));
  }
  const Tensor converted = kernel::cast(value, parameter.dtype());
  if (value.dtype() != converted.dtype() && count_finite(value) != count_finite(converted)) {
    throw InvalidArgument(Message("Assign", "a value is too large for the parameter's dtype.")
                              .expected("values that are finite as {}", parameter.dtype())
                              .got("{}", value.dtype())
                              .fix("give smaller values, or the layer another dtype"));
  }
  parameter.set_value(converted);
}

}  // namespace dygrad
