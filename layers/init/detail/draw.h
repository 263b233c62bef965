// Fills a parameter with random numbers from the stream that a seed stands for.
#pragma once

#include <cstdint>

#include <dygrad/core/creation/random.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::detail {

/// `make(shape, options)` draws a tensor. Seed 0 is default_generator(), any other a fresh stream.
template <class Make>
void draw(Tensor& parameter, std::uint64_t seed, const Make& make) {
  Generator own(seed);
  parameter.set_value(
      make(parameter.shape(), RandomOptions{.dtype = parameter.dtype(), .generator = seed == 0 ? nullptr : &own}));
}

}  // namespace dygrad::detail
