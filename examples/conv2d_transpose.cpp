// Lesson 4: the layer this library was begun for, with every argument of its constructor explained.
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <dygrad/dygrad.h>

#include "expect.h"

using namespace dygrad;

int main() {
  // 3 images of 32 channels, 32 rows and 5 columns: the order of dimensions is batch, channels, height, width.
  Generator generator(1);
  Tensor images = uniform({3, 32, 32, 5}, 0, 1, {.generator = &generator});

  Conv2DTranspose layer({
      .num_channels = 32,  // channels of the input; the weight's first extent
      .num_filters = 2,    // channels of the output
      .filter_size = 3,    // height and width of each filter; {3, 5} for unequal ones, as in all pairs below

      // Everything from here on may be left out; these are the defaults.
      .output_size = std::nullopt,  // the output's height and width; computed unless given. With stride s several input
                                    // sizes of a convolution end in the same output size: this says which one to
                                    // return to, H' <= output_size < H' + s
      .padding = 0,                 // rows and columns cropped on each side, or {top, bottom, left, right}, or "SAME"
      .stride = 1,                  // output pixels per input pixel: 2 doubles the image
      .dilation = 1,                // distance between the filter's cells: 2 leaves gaps of one
      .groups = 1,                  // channels are cut into so many independent parts
      .param_attr = {},             // of the weight: name, initializer, learning rate, regularizer; or just one of them
      .bias_attr = {},              // of the bias, likewise; false for none
      .use_cudnn = true,            // accepted for compatibility; there is no GPU to use
      .act = "",                    // an activation to end with: "relu", "sigmoid", "tanh", ...
      .dtype = float32,             // of weight and bias; the input's must be the same
      .output_padding = 0,          // another way to ask for extra rows and columns at the bottom and right
      .data_format = DataFormat::NCHW,  // or NHWC: channels last
  });
  const Tensor result = layer(images);
  std::cout << "input " << images.shape() << ", weight " << layer.weight.shape() << ", bias " << layer.bias.shape()
            << ", output " << result.shape() << "\n\n";
  expect(result.shape() == Shape{3, 2, 34, 7}, "H' = (32-1)*1 - 2*0 + 1*(3-1) + 1 = 34, and 7 columns likewise");
  expect(layer.weight.shape() == Shape{32, 2, 3, 3}, "weight [num_channels, num_filters / groups, kh, kw]");
  expect(layer.weight.name() == "conv2d_transpose_0.w_0", "parameters have names");

  std::cout << "\nEach input pixel stamps the filter, scaled, onto the output:\n\n";
  const Tensor dots = tensor({{1., 0.}, {0., 10.}}).reshape({1, 1, 2, 2});
  const Tensor stamp = tensor({{1., 2.}, {3., 4.}}).reshape({1, 1, 2, 2});
  const Tensor apart = conv2d_transpose(dots, stamp, {}, {.stride = 2});
  const Tensor overlapping = conv2d_transpose(dots, stamp);
  std::cout << "stride 2:\n" << apart << "\nstride 1, where the stamps overlap and add up:\n" << overlapping << "\n\n";
  expect(apart.at({0, 0, 3, 3}) == 40 && overlapping.at({0, 0, 1, 1}) == 14, "10 * 4 = 40; 4 + 10 * 1 = 14");

  std::cout << "\nSizes that do not fit are refused before any work:\n\n";
  std::string message;
  try {
    Conv2DTranspose({.num_channels = 32, .num_filters = 2, .filter_size = 3, .output_size = 40})(images);
  } catch (const ShapeError& error) {
    message = error.what();
  }
  std::cout << message << "\n\n";
  expect(message.find("40") != message.npos, "the message says what was asked for");

  std::cout << "\nGradients go to the input, the weight and the bias, to any order:\n\n";
  images.set_stop_gradient(false);
  const Tensor loss = mean(square(layer(images)));
  const std::vector<Tensor> grads = grad({loss}, {images, layer.weight, layer.bias}, {.create_graph = true});
  expect(grads[0].shape() == images.shape() && grads[1].shape() == layer.weight.shape(),
         "each gradient has the shape of its value");
  const Tensor penalty = mean(square(grads[0]));  // the norm of a gradient, as gradient penalties use it
  expect(grad(penalty, layer.weight).shape() == layer.weight.shape(), "a gradient can be differentiated again");
  return verdict();
}
