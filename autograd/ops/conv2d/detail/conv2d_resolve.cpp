#include <dygrad/autograd/ops/conv2d/detail/conv2d_resolve.h>

#include <algorithm>
#include <limits>
#include <string>

#include <dygrad/autograd/ops/conv2d/detail/conv2d_arguments.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

namespace {

using detail::Conv2DArguments;
using detail::PaddingSides;

// Products of two 64-bit extents are exact here, so a size is computed first and then compared with its limits.
__extension__ using Wide = __int128;
constexpr Wide kLargest = std::numeric_limits<std::int64_t>::max();

constexpr std::string_view kAxisNames[] = {"height", "width"};

/// The SAME rule: as many output pixels as ceil(extent / stride), extra padding behind.
PaddingSides same_sides(const Conv2DArguments& r) {
  PaddingSides sides{};
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

PaddingSides sides_of(const Padding2D& padding, Conv2DArguments& r) {
  const auto& v = padding.values();
  PaddingSides sides{};
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
                .got("{{{}, {}}} for the batch, {{{}, {}}} for the channels", batch.h, batch.w, channel.h, channel.w)
                .fix("give {}", channel_last ? "{{0, 0}, {top, bottom}, {left, right}, {0, 0}}"
                                             : "{{0, 0}, {0, 0}, {top, bottom}, {left, right}}"));
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
                                   sides.before[1], sides.after[1])
                              .fix("{}", r.is_transposed ? "use 0; output_padding or output_size make the result larger"
                                                         : "use 0, and slice the input to leave out pixels"));
  }
  return sides;
}

/// Throws if a size that the kernels compute with leaves 64 bits.
std::int64_t checked(Wide size, const Conv2DArguments& r, std::string_view what, std::size_t axis) {
  if (size > kLargest) {
    throw ShapeError(
        r.message_with_geometry(fmt::format("the {} {} does not fit into 64 bits.", what, kAxisNames[axis]))
            .expected("at most {}", static_cast<std::int64_t>(kLargest))
            .got("more")
            .fix("use a smaller stride, dilation, padding or kernel"));
  }
  return static_cast<std::int64_t>(size);
}

/// Number of pixels that the kernel covers along an axis: d * (k - 1) + 1.
Wide kernel_reach(Wide kernel, Wide dilation) { return dilation * (kernel - 1) + 1; }

[[noreturn]] void fail_output_below_one(const Conv2DArguments& r, std::string_view problem, std::size_t axis,
                                        Wide extent) {
  throw ShapeError(r.message_with_geometry(problem)
                       .expected("an output {} of at least 1", kAxisNames[axis])
                       .got("{}", static_cast<std::int64_t>(std::max(extent, -kLargest)))
                       .fix("{}", r.is_transposed ? "use less padding, a larger kernel or a larger input"
                                                  : "use more padding, a smaller kernel or a larger input"));
}

[[noreturn]] void fail_groups(const Conv2DArguments& r, std::string_view rule) {
  throw ShapeError(r.message("groups do not divide the channels.")
                       .expected("{}", rule)
                       .got("groups {}", r.groups)
                       .fix("use 1 or another divisor"));
}

/// Output extents before output_padding or output_size, which choose among those that have as many inputs.
using Extents = std::array<Wide, 2>;

/// Throws unless both axes of output_size lie in their intervals.
void check_output_size(const Conv2DArguments& r, const Pair& size, const Extents& natural) {
  const std::array<std::int64_t, 2> given{size.h, size.w};
  std::string expected, got, fix, problem;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const auto least = static_cast<std::int64_t>(natural[axis]);
    const std::int64_t end = checked(natural[axis] + r.stride[axis], r, "largest output", axis);
    if (given[axis] >= least && given[axis] < end) continue;
    const bool small = given[axis] < least, both = !expected.empty();
    expected += fmt::format("{}an output {} in [{}, {})", both ? " and " : "", kAxisNames[axis], least, end);
    got += fmt::format("{}{}", both ? " and " : "", given[axis]);
    fix += fmt::format("{}{} for the {}", both ? " and " : "", small ? least : end - 1, kAxisNames[axis]);
    problem = problem.empty() || problem == (small ? "small" : "large")
                  ? (small ? "small" : "large")
                  : "small along one axis and large along the other";
  }
  if (expected.empty()) return;
  throw ShapeError(
      r.message_with_geometry(fmt::format("output_size is too {}.", problem))
          .line("least is (extent - 1) * stride - padding + dilation * (kernel - 1) + 1, at most stride - 1 more")
          .expected("{}", expected)
          .got("{}", got)
          .fix("use {}, or change stride, padding or dilation", fix));
}

void check_transposed_channels(const Conv2DArguments& r) {
  if (r.w[0] != r.x[1]) {
    throw ShapeError(r.message("weight does not fit the input.")
                         .expected("w.shape[0] == C == {}", r.x[1])
                         .got("{}", r.w[0])
                         .fix("construct the layer with num_channels = {}, or feed {} channels{}", r.x[1], r.w[0],
                              r.format_hint(r.w[0])));
  }
  if (r.x[1] % r.groups != 0) fail_groups(r, fmt::format("C == {} divisible by groups", r.x[1]));
  if (Wide{r.w[1]} * r.groups > kLargest) {
    throw ShapeError(r.message("the number of output channels does not fit into 64 bits.")
                         .expected("at most {}", static_cast<std::int64_t>(kLargest))
                         .got("{} * {} groups", r.w[1], r.groups)
                         .fix("use fewer groups"));
  }
}

/// The extents without output_padding, unless they do not fit into 64 bits.
Extents smallest_extents(const Conv2DArguments& r) {
  Extents extents;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const int at = 2 + static_cast<int>(axis);
    const Wide uncropped = (Wide{r.x[at]} - 1) * r.stride[axis] + kernel_reach(r.w[at], r.dilation[axis]);
    (void)checked(uncropped + r.sides.before[axis], r, "uncropped", axis);
    extents[axis] = uncropped - r.sides.before[axis] - r.sides.after[axis];
  }
  return extents;
}

void check_output_padding(const Conv2DArguments& r, const std::array<std::int64_t, 2>& extra) {
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t limit = std::max(r.stride[axis], r.dilation[axis]);
    if (extra[axis] >= 0 && extra[axis] < limit) continue;
    throw ShapeError(
        r.message_with_geometry("output_padding is out of range.")
            .expected("a value in [0, {}) = [0, max(stride, dilation)) for the {}", limit, kAxisNames[axis])
            .got("{}", extra[axis])
            .fix("use less, or a larger stride"));
  }
}

/// What output_size says, or else output_padding.
Extents chosen_extents(const Conv2DArguments& r, const Conv2DTransposeOptions& options) {
  const std::array<std::int64_t, 2> extra{options.output_padding.h, options.output_padding.w};
  const Extents least = smallest_extents(r);
  if (!options.output_size.has_value()) {
    check_output_padding(r, extra);
    return {least[0] + extra[0], least[1] + extra[1]};
  }
  const auto& size = *options.output_size;
  check_output_size(r, size, least);
  return {size.h, size.w};
}

}  // namespace

Conv2DParams infer_conv2d_transpose_params(const Conv2DTransposeOptions& options, const Shape& x, const Shape& w) {
  Conv2DArguments r{"conv2d_transpose",
                    true,
                    x,
                    w,
                    options.data_format,
                    {options.stride.h, options.stride.w},
                    {options.dilation.h, options.dilation.w},
                    options.groups};
  r.check();
  r.sides = sides_of(options.padding, r);
  check_transposed_channels(r);
  if (options.output_size.has_value() && (options.output_padding.h != 0 || options.output_padding.w != 0)) {
    throw InvalidArgument(Message(r.op, "output_size and output_padding are both given.")
                              .expected("one of them")
                              .got("output_size ({}, {}) and output_padding ({}, {})", (*options.output_size).h,
                                   (*options.output_size).w, options.output_padding.h, options.output_padding.w)
                              .fix("leave out output_padding: output_size says it all"));
  }
  const Extents extents = chosen_extents(r, options);
  Conv2DParams p{.stride = r.stride,
                 .padding = r.sides.before,
                 .dilation = r.dilation,
                 .groups = r.groups,
                 .input_extent = {x[2], x[3]},
                 .output_extent = {}};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (extents[axis] < 1) fail_output_below_one(r, "nothing is left of the output.", axis, extents[axis]);
    (void)checked(extents[axis] + p.padding[axis], r, "output", axis);
    p.output_extent[axis] = static_cast<std::int64_t>(extents[axis]);
  }
  return p;
}

Conv2DParams detail::infer_conv2d_params(const Conv2DOptions& options, const Shape& x, const Shape& w) {
  Conv2DArguments r{"conv2d",
                    false,
                    x,
                    w,
                    options.data_format,
                    {options.stride.h, options.stride.w},
                    {options.dilation.h, options.dilation.w},
                    options.groups};
  r.check();
  r.sides = sides_of(options.padding, r);
  const bool fits_64_bits = Wide{w[1]} * r.groups <= kLargest;
  if (x[1] % r.groups != 0 || w[0] % r.groups != 0) {
    fail_groups(r, fmt::format("C == {} and O == {} divisible by groups", x[1], w[0]));
  }
  if (w[1] != x[1] / r.groups) {
    const std::int64_t wanted = fits_64_bits ? w[1] * r.groups : w[1];
    throw ShapeError(r.message("weight does not fit the input.")
                         .expected("w.shape[1] == C/groups == {}", x[1] / r.groups)
                         .got("{}", w[1])
                         .fix("construct the layer with num_channels = {}, or feed {} channels{}", x[1], wanted,
                              r.format_hint(wanted)));
  }

  Conv2DParams p{.stride = r.stride,
                 .padding = r.sides.before,
                 .dilation = r.dilation,
                 .groups = r.groups,
                 .input_extent = {},
                 .output_extent = {x[2], x[3]}};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const Wide padded = Wide{p.output_extent[axis]} + r.sides.before[axis] + r.sides.after[axis];
    const Wide reach = kernel_reach(w[2 + static_cast<int>(axis)], p.dilation[axis]);
    (void)checked(std::max(padded, reach), r, "padded", axis);
    const Wide room = padded - reach;
    const Wide extent = room < 0 ? 0 : room / p.stride[axis] + 1;
    if (extent < 1) fail_output_below_one(r, "the kernel is larger than the padded input.", axis, extent);
    p.input_extent[axis] = static_cast<std::int64_t>(extent);
  }
  return p;
}

}  // namespace dygrad
