// What a run measured so far: the error of each training step, and of the test images after each epoch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dygrad/layers/base/state_dict.h>

struct History {
  struct Step {
    double learning_rate;
    double error;  // mean squared, of the step's batch
  };
  struct Test {
    std::int64_t step;  // after so many steps
    double error;       // mean squared, of all test images
  };
  std::vector<Step> steps;
  std::vector<Test> tests;

  void save(dygrad::StateDict& state) const;
  static History load(const dygrad::StateDict& state);

  /// One line per step. Replaces the file as a whole or not at all.
  void write_csv(const std::string& path, std::int64_t steps_per_epoch) const;
};

/// Peak signal-to-noise ratio in decibels, for brightness from 0 to 1.
double psnr(double mean_squared_error);
