#include <dygrad/backends/image_result.h>

#include <dygrad/core/channelwise.h>
#include <dygrad/core/copy.h>

namespace dygrad {

void add_bias(const Tensor& y, const Tensor& bias) {
  if (!bias.defined()) return;
  const Tensor dense = raw::contiguous(bias);
  dispatch_float(y.dtype(), "add_bias", [&]<class T>() {
    raw::map_channels<T, 1, 1>([](T v, T shift) { return v + shift; }, y, {y.data<T>()}, {dense.data<T>()});
  });
}

}  // namespace dygrad
