// The images to learn from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <dygrad/core/tensor/tensor.h>

struct Images {
  std::string name;            // "Fashion-MNIST"
  std::string remark;          // one line for the user: where they come from
  dygrad::Tensor train;        // uint8 [N, 1, 28, 28]
  dygrad::Tensor test;         // uint8 [M, 1, 28, 28]; never trained on
  dygrad::Tensor test_labels;  // int64 [M]
  std::vector<std::string> classes;
};

/// Fashion-MNIST or a set like it from the folder `data`; drawn shapes for "shapes". If empty, Fashion-MNIST from where
/// it is usually kept, or shapes if it is not there.
/// `limit` > 0 keeps so many training images, and at most as many test images.
/// Throws dygrad::IoError if the folder or its files are not as they should be.
Images load_images(const std::string& data, std::int64_t limit);

/// Mean squared error on the test images of always answering with the mean training image, the least that a model must
/// beat. Brightness counts from 0 to 1.
double mean_image_error(const Images& images);
