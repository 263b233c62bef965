#include <dygrad/backends/image_result.h>

#include <dygrad/core/activate.h>
#include <dygrad/core/channelwise.h>
#include <dygrad/core/copy.h>

namespace dygrad {

void apply_epilogue(const Epilogue& epilogue, const Tensor& y) {
  if (!epilogue.bias.defined()) return raw::activate(epilogue.activation, y);
  const Tensor bias = raw::contiguous(epilogue.bias);
  dispatch_float(y.dtype(), "epilogue", [&]<class T>() {
    raw::with_values(epilogue.activation, [&](auto f) {
      raw::map_channels<T, 1, 1>([f](T v, T shift) { return static_cast<T>(f.value(v + shift)); }, y, {y.data<T>()},
                                 {bias.data<T>()});
    });
  });
}

}  // namespace dygrad
