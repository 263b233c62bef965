#include <dygrad/layers/pool2d.h>

#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/pool/pool.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/layers/base/detail/input_check.h>
#include <dygrad/layers/base/detail/options_check.h>

namespace dygrad {

Pool2D::Pool2D(Options options) : options_(std::move(options)) {
  const Options& o = options_;
  const detail::OptionsCheck check("Pool2D");
  if (o.pool_type != "max" && o.pool_type != "avg") {
    check.fail("pool_type", "\"max\" or \"avg\"", fmt::format("\"{}\"", o.pool_type));
  }
  check.at_least("pool_stride", o.pool_stride, 1);
  check.at_least("pool_padding", o.pool_padding, 0);
  if (o.global_pooling) return;
  check.at_least("pool_size", o.pool_size, 1);
  if (o.pool_padding.h >= o.pool_size.h || o.pool_padding.w >= o.pool_size.w) {
    check.fail("pool_padding", fmt::format("less than pool_size = ({}, {})", o.pool_size.h, o.pool_size.w),
               fmt::format("({}, {})", o.pool_padding.h, o.pool_padding.w));
  }
}

Tensor Pool2D::forward(const Tensor& x) {
  return with_name([&] {
    detail::check_defined("Pool2D", "x", x);
    const Options& o = options_;
    Pool2DOptions op{.size = o.pool_size,
                     .stride = o.pool_stride,
                     .padding = o.pool_padding,
                     .ceil_mode = o.ceil_mode,
                     .exclusive = o.exclusive};
    if (o.global_pooling) {
      if (x.rank() != 4) {
        throw ShapeError(
            Message("Pool2D", "the input is not a batch of images.")
                .expected("x of rank 4 ({})", o.data_format == DataFormat::NHWC ? "N, H, W, C" : "N, C, H, W")
                .got("{}", x.shape())
                .fix("reshape it; a single image needs a batch extent of 1"));
      }
      const int h = o.data_format == DataFormat::NHWC ? 1 : 2;
      op = {.size = {x.dim(h), x.dim(h + 1)}};
    }
    return detail::in_nchw(x, o.data_format, [&](const Tensor& image) {
      return o.pool_type == "max" ? max_pool2d(image, op) : avg_pool2d(image, op);
    });
  });
}

}  // namespace dygrad
