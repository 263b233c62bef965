#include <dygrad/layers/init/assign.h>

#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

void Assign::operator()(Tensor& parameter) const {
  if (!value.defined())
    throw InvalidArgument(Message("Assign", "the value is undefined.").fix("assign a tensor to it first"));
  if (value.shape() != parameter.shape()) {
    throw ShapeError(Message("Assign", "the value does not fit the parameter.")
                         .expected("shape {}", parameter.shape())
                         .got("{}", value.shape())
                         .fix("give a value of the parameter's shape"));
  }
  parameter.set_value(raw::cast(value, parameter.dtype()));
}

}  // namespace dygrad
