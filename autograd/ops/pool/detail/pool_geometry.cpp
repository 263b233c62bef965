#include <dygrad/autograd/ops/pool/detail/pool_geometry.h>

#include <string_view>

#include <fmt/format.h>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

namespace {

[[noreturn]] void fail_option(std::string_view op, std::string_view what, Pair got, std::string_view need) {
  throw InvalidArgument(Message(op, "{} is out of range.", what)
                            .expected("{}", need)
                            .got("{} x {}", got.h, got.w)
                            .fix("choose {} within it, for height and width", what));
}

void check_options(std::string_view op, const Pool2DOptions& options) {
  constexpr std::int64_t kMax = std::int64_t{1} << 31;  // keeps every sum of them within 64 bits
  const auto inside = [](Pair values, std::int64_t least) {
    return values.h >= least && values.w >= least && values.h <= kMax && values.w <= kMax;
  };
  const auto& [size, stride, padding, ceil_mode, exclusive] = options;
  if (!inside(size, 1)) fail_option(op, "size", size, "1 <= size <= 2^31");
  if (!inside(stride, 1)) fail_option(op, "stride", stride, "1 <= stride <= 2^31");
  if (!inside(padding, 0) || padding.h >= size.h || padding.w >= size.w)
    fail_option(op, "padding", padding, fmt::format("0 <= padding < size = {} x {}", size.h, size.w));
}

/// Number of windows along one direction; 0 if none fits.
std::int64_t output_extent(std::int64_t extent, std::int64_t size, std::int64_t stride, std::int64_t padding,
                           bool ceil_mode) {
  const std::int64_t room = extent + 2 * padding - size;
  if (extent == 0 || room <= (ceil_mode ? -stride : -1)) return 0;
  if (!ceil_mode) return room / stride + 1;
  const std::int64_t count = (room + stride - 1) / stride + 1;
  // A last window that would begin behind the image, in padding only, is dropped.
  return (count - 1) * stride >= extent + padding ? count - 1 : count;
}

}  // namespace

detail::PoolGeometry detail::make_pool_geometry(std::string_view op, const Tensor& x, const Pool2DOptions& options) {
  check_defined(op, "x", x);
  if (!is_floating(x.dtype())) detail::fail_not_floating(op, x.dtype());
  if (x.rank() != 4) {
    throw ShapeError(Message(op, "the input is not a batch of images.")
                         .line("x {}", x.shape())
                         .expected("rank 4, [N, C, H, W]")
                         .got("rank {}", x.rank())
                         .fix("reshape it"));
  }
  check_options(op, options);
  const auto both = [](Pair pair) { return std::array{pair.h, pair.w}; };
  PoolGeometry result{.size = both(options.size),
                      .stride = both(options.stride),
                      .padding = both(options.padding),
                      .exclusive = options.exclusive,
                      .x_shape = x.shape(),
                      .y_shape = x.shape()};
  for (int d = 0; d < 2; ++d) {
    const auto i = static_cast<std::size_t>(d);
    std::int64_t& extent = result.y_shape[2 + d];
    extent = output_extent(extent, result.size[i], result.stride[i], result.padding[i], options.ceil_mode);
    if (extent < 1) {
      throw ShapeError(Message(op, "the window is larger than the padded image.")
                           .line("x {}, size {} x {}, padding {} x {}", x.shape(), options.size.h, options.size.w,
                                 options.padding.h, options.padding.w)
                           .expected("an output extent of at least 1")
                           .got("none along {}", d == 0 ? "H" : "W")
                           .fix("use a smaller window or more padding"));
    }
  }
  result.format = x.memory_format().value_or(MemoryFormat::row_major);
  const bool channels_last = result.format == MemoryFormat::channels_last;
  result.planes = channels_last ? x.shape()[0] : x.shape()[0] * x.shape()[1];
  result.inner = channels_last ? x.shape()[1] : 1;
  return result;
}

}  // namespace dygrad
