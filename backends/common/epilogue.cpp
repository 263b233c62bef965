#include <dygrad/backends/common/epilogue.h>

#include <dygrad/core/kernels/activate.h>
#include <dygrad/core/kernels/channelwise.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

void apply_epilogue(const Epilogue& epilogue, const Tensor& y) {
  if (!epilogue.bias.defined()) return kernel::activate(epilogue.activation, y);
  const Tensor bias = kernel::contiguous(epilogue.bias);
  dispatch_float(y.dtype(), "epilogue", [&]<class T>() {
    kernel::with_values(epilogue.activation, [&](auto f) {
      kernel::map_channels<T, 1, 1>([f](T v, T shift) { return static_cast<T>(f.forward(v + shift)); }, y,
                                    {y.data<T>()}, {bias.data<T>()});
    });
  });
}

}  // namespace dygrad
