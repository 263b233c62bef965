#include <dygrad/layers/base/regularizer.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

void detail::fail_decay(double coefficient) {
  throw InvalidArgument(Message("regularizer", "the coefficient is out of range.")
                            .expected("a finite number >= 0")
                            .got("{}", coefficient)
                            .fix("leave the regularizer out for no decay"));
}

}  // namespace dygrad
