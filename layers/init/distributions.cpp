#include <dygrad/layers/init/distributions.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/layers/init/detail/draw.h>
#include <dygrad/layers/support/number_range.h>

namespace dygrad {

void Constant::operator()(Tensor& parameter) const {
  if (!detail::is_finite_as(parameter.dtype(), value)) {
    throw InvalidArgument(Message("Constant", "a parameter would not be a number.")
                              .expected("a finite value, as {}", parameter.dtype())
                              .got("{}", value)
                              .fix("give a smaller value, or a dtype that holds it"));
  }
  parameter.fill(value);
}

void Uniform::operator()(Tensor& parameter) const {
  detail::draw(parameter, seed, [this](const Shape& shape, RandomOptions o) { return uniform(shape, low, high, o); });
}

void Normal::operator()(Tensor& parameter) const {
  detail::draw(parameter, seed, [this](const Shape& shape, RandomOptions o) { return normal(shape, loc, scale, o); });
}

void TruncatedNormal::operator()(Tensor& parameter) const {
  detail::draw(parameter, seed,
               [this](const Shape& shape, RandomOptions o) { return truncated_normal(shape, loc, scale, o); });
}

}  // namespace dygrad
