#include <dygrad/layers/init/distributions.h>

#include <dygrad/layers/init/draw.h>

namespace dygrad {

void Constant::operator()(Tensor& parameter) const { parameter.fill(value); }

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
