#include <dygrad/layers/init/fan.h>

#include <cmath>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/layers/init/detail/draw.h>

namespace dygrad {

namespace {
double checked_fan(const char* op, const char* name, const std::optional<double>& given, double derived) {
  if (given && !(*given >= 0 && std::isfinite(*given))) {
    throw InvalidArgument(Message(op, "{} is out of range.", name)
                              .expected("at least 0")
                              .got("{}", *given)
                              .fix("give a {} of 0 or more, or none to take it from the shape", name));
  }
  return given.value_or(derived);
}

/// Uniform within +-sqrt(6 / fan), or normal with deviation sqrt(2 / fan).
void draw_scaled(Tensor& parameter, bool is_uniform, double fan, std::uint64_t seed) {
  // A fan of 0 asks for infinite spread; Paddle divides by zero there.
  if (fan <= 0)
    throw InvalidArgument(Message("initializer", "the sum of fans is 0, so the spread is unbounded.")
                              .fix("give fan_in or fan_out, or a parameter without extents of 0"));
  detail::draw(parameter, seed, [&](const Shape& shape, RandomOptions options) {
    if (!is_uniform) return normal(shape, 0, std::sqrt(2 / fan), options);
    const double limit = std::sqrt(6 / fan);
    return uniform(shape, -limit, limit, options);
  });
}
}  // namespace

Fans fans_of(const Shape& shape) {
  if (shape.rank() < 2) {
    const double size = static_cast<double>(num_elements(shape));
    return {size, size};
  }
  if (shape.rank() == 2) return {static_cast<double>(shape[0]), static_cast<double>(shape[1])};
  double receptive_field = 1;
  for (int i = 2; i < shape.rank(); ++i) receptive_field *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[1]) * receptive_field, static_cast<double>(shape[0]) * receptive_field};
}

void Xavier::operator()(Tensor& parameter) const {
  const Fans fans = fans_of(parameter.shape());
  const double in = checked_fan("Xavier", "fan_in", fan_in, fans.in);
  const double out = checked_fan("Xavier", "fan_out", fan_out, fans.out);
  draw_scaled(parameter, uniform, in + out, seed);
}

void MSRA::operator()(Tensor& parameter) const {
  draw_scaled(parameter, uniform, checked_fan("MSRA", "fan_in", fan_in, fans_of(parameter.shape()).in), seed);
}

}  // namespace dygrad
