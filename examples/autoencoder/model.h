// The autoencoder: two convolutions and a matrix squeeze an image into a few numbers; their mirror images unfold it.
#pragma once

#include <cstdint>

#include <dygrad/dygrad.h>

/// Images [N, 1, 28, 28] to codes [N, bottleneck] and back; brightness from 0 to 1.
class Autoencoder : public dygrad::Layer {
 public:
  explicit Autoencoder(std::int64_t bottleneck, dygrad::DType dtype = dygrad::float32)
      : Layer("autoencoder", dtype),
        // filters of size 4, stride 2 and padding 1 halve each side, or double it: 28, 14, 7
        down1({.num_channels = 1,
               .num_filters = 16,
               .filter_size = 4,
               .stride = 2,
               .padding = 1,
               .act = "relu",
               .dtype = dtype}),
        down2({.num_channels = 16,
               .num_filters = 32,
               .filter_size = 4,
               .stride = 2,
               .padding = 1,
               .act = "relu",
               .dtype = dtype}),
        squeeze({.input_dim = 32 * 7 * 7, .output_dim = bottleneck, .dtype = dtype}),
        spread({.input_dim = bottleneck, .output_dim = 32 * 7 * 7, .act = "relu", .dtype = dtype}),
        up1({.num_channels = 32,
             .num_filters = 16,
             .filter_size = 4,
             .padding = 1,
             .stride = 2,
             .act = "relu",
             .dtype = dtype}),
        up2({.num_channels = 16,
             .num_filters = 1,
             .filter_size = 4,
             .padding = 1,
             .stride = 2,
             .act = "sigmoid",
             .dtype = dtype}) {
    register_layer("down1", down1);
    register_layer("down2", down2);
    register_layer("squeeze", squeeze);
    register_layer("spread", spread);
    register_layer("up1", up1);
    register_layer("up2", up2);
  }

  dygrad::Tensor encode(const dygrad::Tensor& images) { return squeeze(down2(down1(images)).flatten(1)); }
  dygrad::Tensor decode(const dygrad::Tensor& codes) { return up2(up1(spread(codes).reshape({-1, 32, 7, 7}))); }
  dygrad::Tensor forward(const dygrad::Tensor& images) override { return decode(encode(images)); }

 private:
  dygrad::Conv2D down1, down2;
  dygrad::Linear squeeze, spread;
  dygrad::Conv2DTranspose up1, up2;
};
