#include <dygrad/layers/base/detail/input_check.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

void detail::check_input_dtype(std::string_view op, const Tensor& x, const Tensor& weight) {
  if (x.dtype() == weight.dtype()) return;
  const std::string other = is_floating(x.dtype())
                                ? fmt::format(", or construct the layer with .dtype = dygrad::{}", x.dtype())
                                : std::string();
  throw DtypeError(Message(op, "the input and the weight have different dtypes.")
                       .expected("one dtype, float32 or float64")
                       .got("x {}, weight {}", x.dtype(), weight.dtype())
                       .fix("convert the input: x.to(dygrad::{}){}", weight.dtype(), other));
}

}  // namespace dygrad
