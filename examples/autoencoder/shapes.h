// Small images drawn on the spot, for machines without a data set: ten kinds of shapes, turned, moved and scaled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

struct Drawings {
  dygrad::Tensor images;  // uint8 [count, 1, 28, 28]
  dygrad::Tensor labels;  // int64 [count]
};
Drawings draw_shapes(std::int64_t count, std::uint64_t seed);
std::vector<std::string> shape_names();
