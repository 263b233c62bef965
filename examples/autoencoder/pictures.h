// The pictures that a run leaves: reconstructions and the course of the error. Both replace their file as a whole.
#pragma once

#include <cstdint>
#include <string>

#include <dygrad/core/tensor/tensor.h>

#include "history.h"

/// Images above their reconstructions, both [columns * rows, 1, 28, 28] with brightness from 0 to 1, column after
/// column. A PNG file.
struct Grid {
  std::int64_t columns = 0;
  dygrad::Tensor originals;
  dygrad::Tensor reconstructions;
};
void draw_grid(const std::string& path, const Grid& grid);

/// The error over the epochs, on a logarithmic scale. An SVG file.
struct Chart {
  std::string title;
  const History& history;
  std::int64_t steps_per_epoch;
  std::int64_t epochs;
  double baseline;  // error of the mean image
};
void draw_chart(const std::string& path, const Chart& chart);
