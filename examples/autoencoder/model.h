// The autoencoder: two convolutions and a matrix squeeze an image into a few numbers; their mirror images unfold it.
#pragma once

#include <cstdint>

#include <dygrad/dygrad.h>

/// Images [N, 1, 28, 28] to codes [N, bottleneck] and back; brightness from 0 to 1.
class Autoencoder : public dygrad::Layer {
 public:
  explicit Autoencoder(std::int64_t bottleneck, dygrad::DType dtype = dygrad::float32)
      : Layer("autoencoder", dtype),
        down1_(halve(1, 16, dtype)),   // 28 x 28 -> 14 x 14
        down2_(halve(16, 32, dtype)),  // -> 7 x 7
        squeeze_({.input_dim = 32 * 7 * 7, .output_dim = bottleneck, .dtype = dtype}),
        spread_({.input_dim = bottleneck, .output_dim = 32 * 7 * 7, .act = "relu", .dtype = dtype}),
        up1_(enlarge(32, 16, "relu", dtype)),     // 7 x 7 -> 14 x 14
        up2_(enlarge(16, 1, "sigmoid", dtype)) {  // -> 28 x 28
    register_layer("down1", down1_);
    register_layer("down2", down2_);
    register_layer("squeeze", squeeze_);
    register_layer("spread", spread_);
    register_layer("up1", up1_);
    register_layer("up2", up2_);
  }

  dygrad::Tensor encode(const dygrad::Tensor& images) { return squeeze_(down2_(down1_(images)).flatten(1)); }
  dygrad::Tensor decode(const dygrad::Tensor& codes) { return up2_(up1_(spread_(codes).reshape({-1, 32, 7, 7}))); }
  dygrad::Tensor forward(const dygrad::Tensor& images) override { return decode(encode(images)); }

 private:
  // Filters of size 4 with stride 2 and padding 1 halve each side exactly, or double it.
  static dygrad::Conv2D::Options halve(std::int64_t from, std::int64_t to, dygrad::DType dtype) {
    return {.num_channels = from,
            .num_filters = to,
            .filter_size = 4,
            .stride = 2,
            .padding = 1,
            .act = "relu",
            .dtype = dtype};
  }
  static dygrad::Conv2DTranspose::Options enlarge(std::int64_t from, std::int64_t to, const char* act,
                                                  dygrad::DType dtype) {
    return {.num_channels = from,
            .num_filters = to,
            .filter_size = 4,
            .padding = 1,
            .stride = 2,
            .act = act,
            .dtype = dtype};
  }

  dygrad::Conv2D down1_, down2_;
  dygrad::Linear squeeze_, spread_;
  dygrad::Conv2DTranspose up1_, up2_;
};
