#include <dygrad/autograd/ops/conv2d_resolve.h>

#include <limits>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

namespace {

// Products of two 64-bit extents are exact here, so a size is computed first and then compared with its limits.
__extension__ using Wide = __int128;
constexpr Wide kLargest = std::numeric_limits<std::int64_t>::max();

constexpr std::string_view kAxisNames[] = {"height", "width"};

/// What transposed and ordinary convolution share of their arguments.
struct Request {
  std::string_view op;
  const Shape& x;  // NCHW
  const Shape& w;
  DataFormat format;
  std::array<std::int64_t, 2> stride, dilation;
  std::int64_t groups;

  Message message(std::string_view problem, std::string_view w_roles) const {
    const bool channel_last = format == DataFormat::NHWC && x.rank() == 4;
    const Shape shown = channel_last ? Shape(x[0], x[2], x[3], x[1]) : x;
    return Message(op, problem)
        .line("x {}  ({})", shown, channel_last ? "N, H, W, C" : "N, C, H, W")
        .line("w {}  ({})", w, w_roles);
  }
};

constexpr std::string_view kTransposedRoles = "C, O/groups, kh, kw";
constexpr std::string_view kForwardRoles = "O, C/groups, kh, kw";

void check_positive(std::string_view op, std::string_view name, std::array<std::int64_t, 2> pair) {
  if (pair[0] < 1 || pair[1] < 1) {
    throw InvalidArgument(Message(op, fmt::format("{} must be positive.", name))
                              .expected("values >= 1")
                              .got("({}, {})", pair[0], pair[1]));
  }
}

/// Ranks and values, before anything is computed from them.
void check_arguments(const Request& r, std::string_view w_roles) {
  if (r.x.rank() != 4) {
    throw ShapeError(Message(r.op, "the input is not a batch of images.")
                         .expected("x of rank 4 ({})", r.format == DataFormat::NHWC ? "N, H, W, C" : "N, C, H, W")
                         .got("{}", r.x)
                         .fix("reshape it; a single image needs a batch extent of 1"));
  }
  if (r.w.rank() != 4) {
    throw ShapeError(
        Message(r.op, "the weight has the wrong rank.").expected("w of rank 4 ({})", w_roles).got("{}", r.w));
  }
  check_positive(r.op, "stride", r.stride);
  check_positive(r.op, "dilation", r.dilation);
  if (r.groups < 1) {
    throw InvalidArgument(Message(r.op, "groups must be positive.").expected("groups >= 1").got("{}", r.groups));
  }
  for (int i = 0; i < 4; ++i) {
    if (r.w[i] < 1) {
      throw ShapeError(r.message("the weight is empty.", w_roles).expected("extents >= 1").got("{}", r.w[i]));
    }
  }
  for (int i = 1; i < 4; ++i) {
    if (r.x[i] < 1) {
      throw ShapeError(r.message("the input has no pixels or channels.", w_roles)
                           .expected("extents >= 1, but for the batch")
                           .got("{}", r.x[i]));
    }
  }
}

struct Sides {
  std::array<std::int64_t, 2> before, after;
};

/// The SAME rule: as many output pixels as ceil(extent / stride), extra padding behind.
Sides same_sides(const Request& r) {
  Sides sides{};
  for (int axis = 0; axis < 2; ++axis) {
    const auto a = static_cast<std::size_t>(axis);
    const Wide extent = r.x[2 + axis], stride = r.stride[a], kernel = r.w[2 + axis];
    const Wide outputs = (extent + stride - 1) / stride;
    const Wide total = std::max<Wide>((outputs - 1) * stride + kernel - extent, 0);
    sides.before[a] = static_cast<std::int64_t>(total / 2);
    sides.after[a] = static_cast<std::int64_t>(total - total / 2);
  }
  return sides;
}

Sides sides_of(const Padding2D& padding, Request& r) {
  const auto& v = padding.values();
  Sides sides{};
  switch (padding.form()) {
    case Padding2D::Form::pair: sides = {{v[0], v[1]}, {v[0], v[1]}}; break;
    case Padding2D::Form::sides: sides = {{v[0], v[2]}, {v[1], v[3]}}; break;
    case Padding2D::Form::dims: {
      const bool channel_last = r.format == DataFormat::NHWC;
      const auto& dims = padding.dims();
      const Pair &batch = dims[0], &channel = dims[channel_last ? 3 : 1];
      const Pair &h = dims[channel_last ? 1 : 2], &w = dims[channel_last ? 2 : 3];
      if (batch != Pair(0) || channel != Pair(0)) {
        throw InvalidArgument(
            Message(r.op, "padding of the batch or of the channels is not possible.")
                .line("data format {}", channel_last ? "NHWC" : "NCHW")
                .expected("{{0, 0}} for both")
                .got("{{{}, {}}} for the batch, {{{}, {}}} for the channels", batch.h, batch.w, channel.h, channel.w));
      }
      sides = {{h.h, w.h}, {h.w, w.w}};
      break;
    }
    case Padding2D::Form::valid: break;
    case Padding2D::Form::same: r.dilation = {1, 1}; return same_sides(r);
  }
  if (std::min({sides.before[0], sides.before[1], sides.after[0], sides.after[1]}) < 0) {
    throw InvalidArgument(Message(r.op, "padding must not be negative.")
                              .expected("values >= 0")
                              .got("top {}, bottom {}, left {}, right {}", sides.before[0], sides.after[0],
                                   sides.before[1], sides.after[1]));
  }
  return sides;
}

/// Throws if a size that the kernels compute with leaves 64 bits.
std::int64_t checked(Wide size, std::string_view op, std::string_view what) {
  if (size > kLargest) {
    throw ShapeError(Message(op, fmt::format("the {} does not fit into 64 bits.", what))
                         .fix("use a smaller stride, dilation, padding or kernel"));
  }
  return static_cast<std::int64_t>(size);
}

/// Number of pixels that the kernel covers along an axis: d * (k - 1) + 1.
Wide kernel_reach(Wide kernel, Wide dilation) { return dilation * (kernel - 1) + 1; }

[[noreturn]] void fail_output_below_one(const Message& message, std::size_t axis, Wide extent) {
  throw ShapeError(Message(message)
                       .expected("an output {} of at least 1", kAxisNames[axis])
                       .got("{}", static_cast<std::int64_t>(std::max(extent, -kLargest)))
                       .fix("use less padding, a larger kernel or a larger input"));
}

}  // namespace

Conv2DParams resolve(const Conv2DTransposeOptions& options, const Shape& x, const Shape& w) {
  Request r{"conv2d_transpose",
            x,
            w,
            options.data_format,
            {options.stride.h, options.stride.w},
            {options.dilation.h, options.dilation.w},
            options.groups};
  check_arguments(r, kTransposedRoles);
  const Sides sides = sides_of(options.padding, r);
  if (w[0] != x[1]) {
    throw ShapeError(r.message("weight does not fit the input.", kTransposedRoles)
                         .expected("w.shape[0] == C == {}", x[1])
                         .got("{}", w[0])
                         .fix("construct the layer with num_channels = {}, or feed {} channels", x[1], w[0]));
  }
  if (x[1] % r.groups != 0) {
    throw ShapeError(r.message("groups do not divide the channels.", kTransposedRoles)
                         .expected("C == {} divisible by groups", x[1])
                         .got("groups {}", r.groups));
  }
  (void)checked(Wide{w[1]} * r.groups, r.op, "number of output channels");

  const std::array<std::int64_t, 2> extra{options.output_padding.h, options.output_padding.w};
  if (options.output_size.has_value() && (extra[0] != 0 || extra[1] != 0)) {
    throw InvalidArgument(Message(r.op, "output_size and output_padding are both given.")
                              .line("output_size ({}, {})", (*options.output_size).h, (*options.output_size).w)
                              .line("output_padding ({}, {})", extra[0], extra[1])
                              .fix("give one of them"));
  }

  Conv2DParams p{.stride = r.stride,
                 .padding = sides.before,
                 .dilation = r.dilation,
                 .groups = r.groups,
                 .input_extent = {x[2], x[3]},
                 .output_extent = {}};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::string_view name = kAxisNames[axis];
    const Wide scatter = (Wide{p.input_extent[axis]} - 1) * p.stride[axis] +
                         kernel_reach(w[2 + static_cast<int>(axis)], p.dilation[axis]);
    (void)checked(scatter + sides.before[axis], r.op, name == "height" ? "uncropped height" : "uncropped width");
    const Wide natural = scatter - sides.before[axis] - sides.after[axis];
    Wide extent = natural;
    if (options.output_size.has_value()) {
      extent = axis == 0 ? (*options.output_size).h : (*options.output_size).w;
      if (extent < natural || extent >= natural + p.stride[axis]) {
        const bool small = extent < natural;
        throw ShapeError(r.message(fmt::format("output_size is too {}.", small ? "small" : "large"), kTransposedRoles)
                             .expected("an output {} in [{}, {})", name, static_cast<std::int64_t>(natural),
                                       checked(natural + p.stride[axis], r.op, name))
                             .got("{}", static_cast<std::int64_t>(extent))
                             .fix("use {}", small ? static_cast<std::int64_t>(natural)
                                                  : static_cast<std::int64_t>(natural + p.stride[axis] - 1)));
      }
    } else {
      const std::int64_t limit = std::max(p.stride[axis], p.dilation[axis]);
      if (extra[axis] < 0 || extra[axis] >= limit) {
        throw ShapeError(Message(r.op, "output_padding is out of range.")
                             .line("stride {}, dilation {} along the {}", p.stride[axis], p.dilation[axis], name)
                             .expected("a value in [0, {})", limit)
                             .got("{}", extra[axis]));
      }
      extent += extra[axis];
    }
    if (extent < 1) {
      fail_output_below_one(r.message("nothing is left of the output.", kTransposedRoles), axis, extent);
    }
    p.output_extent[axis] = checked(extent, r.op, name);
  }
  return p;
}

Conv2DParams detail::resolve_conv2d(const Conv2DOptions& options, const Shape& x, const Shape& w) {
  Request r{"conv2d",
            x,
            w,
            options.data_format,
            {options.stride.h, options.stride.w},
            {options.dilation.h, options.dilation.w},
            options.groups};
  check_arguments(r, kForwardRoles);
  const Sides sides = sides_of(options.padding, r);
  if (x[1] % r.groups != 0 || w[0] % r.groups != 0) {
    throw ShapeError(r.message("groups do not divide the channels.", kForwardRoles)
                         .expected("C == {} and O == {} divisible by groups", x[1], w[0])
                         .got("groups {}", r.groups));
  }
  if (w[1] != x[1] / r.groups) {
    throw ShapeError(r.message("weight does not fit the input.", kForwardRoles)
                         .expected("w.shape[1] == C/groups == {}", x[1] / r.groups)
                         .got("{}", w[1])
                         .fix("feed {} channels", Wide{w[1]} * r.groups <= kLargest ? w[1] * r.groups : w[1]));
  }

  Conv2DParams p{.stride = r.stride,
                 .padding = sides.before,
                 .dilation = r.dilation,
                 .groups = r.groups,
                 .input_extent = {},
                 .output_extent = {x[2], x[3]}};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::string_view name = kAxisNames[axis];
    const Wide padded = Wide{p.output_extent[axis]} + sides.before[axis] + sides.after[axis];
    const Wide reach = kernel_reach(w[2 + static_cast<int>(axis)], p.dilation[axis]);
    (void)checked(std::max(padded, reach), r.op, name == "height" ? "padded height" : "padded width");
    const Wide room = padded - reach;
    const Wide extent = room < 0 ? 0 : room / p.stride[axis] + 1;
    if (extent < 1)
      fail_output_below_one(r.message("the kernel is larger than the padded input.", kForwardRoles), axis, extent);
    p.input_extent[axis] = static_cast<std::int64_t>(extent);
  }
  return p;
}

void detail::check_problem(std::string_view op, const Conv2DParams& p, const Shape& x, const Shape& w, const Shape& y) {
  const auto fail = [&](std::string_view problem, std::string_view rule) {
    throw ShapeError(Message(op, problem)
                         .line("x {}  (N, C, H, W)", x)
                         .line("w {}  (C, O/groups, kh, kw)", w)
                         .line("y {}  (N, O, OH, OW)", y)
                         .line("stride ({}, {}), padding ({}, {}), dilation ({}, {}), groups {}", p.stride[0],
                               p.stride[1], p.padding[0], p.padding[1], p.dilation[0], p.dilation[1], p.groups)
                         .line("input extent ({}, {}), output extent ({}, {})", p.input_extent[0], p.input_extent[1],
                               p.output_extent[0], p.output_extent[1])
                         .expected("{}", rule)
                         .got("the above"));
  };
  if (x.rank() != 4 || w.rank() != 4 || y.rank() != 4) fail("an operand has the wrong rank.", "ranks of 4");
  if (p.groups < 1) fail("the parameters are not sound.", "groups >= 1");
  for (std::size_t i = 0; i < 2; ++i) {
    if (p.stride[i] < 1 || p.dilation[i] < 1 || p.padding[i] < 0) {
      fail("the parameters are not sound.", "stride >= 1, dilation >= 1, padding >= 0");
    }
    const int axis = 2 + static_cast<int>(i);
    if (p.input_extent[i] < 1 || p.output_extent[i] < 1 || w[axis] < 1) {
      fail("the parameters are not sound.", "images and kernels of at least one pixel");
    }
    if (x[axis] != p.input_extent[i]) fail("x does not have the stated extent.", "(H, W) equal to the input extent");
    if (y[axis] != p.output_extent[i])
      fail("y does not have the stated extent.", "(OH, OW) equal to the output extent");
    const Wide reach = (Wide{x[axis]} - 1) * p.stride[i] + kernel_reach(w[axis], p.dilation[i]);
    if (reach + p.padding[i] + y[axis] > kLargest) {
      fail("the problem does not fit into 64 bits.", "smaller stride, dilation, padding or kernel");
    }
  }
  if (x[0] != y[0]) fail("the batches differ.", "equal N");
  if (x[1] < 1 || w[0] != x[1] || x[1] % p.groups != 0) {
    fail("w does not fit x.", "w.shape[0] == C, at least 1 and divisible by groups");
  }
  if (w[1] < 1 || y[1] / p.groups != w[1] || y[1] % p.groups != 0) {
    fail("w does not fit y.", "w.shape[1] * groups == O");
  }
  for (const Shape* shape : {&x, &w, &y}) (void)num_bytes(*shape, sizeof(double));
}

}  // namespace dygrad
