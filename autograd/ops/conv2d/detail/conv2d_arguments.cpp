#include <dygrad/autograd/ops/conv2d/detail/conv2d_arguments.h>

#include <dygrad/core/base/error.h>

namespace dygrad::detail {

namespace {

void check_positive(std::string_view op, std::string_view name, std::array<std::int64_t, 2> pair) {
  if (pair[0] < 1 || pair[1] < 1) {
    throw InvalidArgument(Message(op, "{} must be positive.", name)
                              .expected("values >= 1 for height and width")
                              .got("({}, {})", pair[0], pair[1])
                              .fix("use 1, which is the default, or more"));
  }
}

/// The role of one extent in "N, C, H, W" and its like.
std::string_view role(std::string_view roles, int axis) {
  for (; axis > 0; --axis) roles.remove_prefix(roles.find(", ") + 2);
  return roles.substr(0, roles.find(','));
}

}  // namespace

void Conv2DArguments::check() const {
  if (x.rank() != 4) {
    throw ShapeError(Message(op, "the input is not a batch of images.")
                         .expected("x of rank 4 ({})", x_roles())
                         .got("{}", x)
                         .fix("reshape it; a single image needs a batch extent of 1"));
  }
  if (w.rank() != 4) {
    throw ShapeError(Message(op, "the weight has the wrong rank.")
                         .expected("w of rank 4 ({})", w_roles())
                         .got("{}", w)
                         .fix("reshape it"));
  }
  check_positive(op, "stride", stride);
  check_positive(op, "dilation", dilation);
  if (groups < 1) {
    throw InvalidArgument(Message(op, "groups must be positive.")
                              .expected("groups >= 1")
                              .got("{}", groups)
                              .fix("use 1 to join all channels, or a divisor of their number"));
  }
  for (int i = 0; i < 4; ++i) {
    if (w[i] < 1) {
      throw ShapeError(message("the weight is empty.")
                           .expected("w.shape[{}] = {} >= 1", i, role(w_roles(), i))
                           .got("{}", w[i])
                           .fix("make a weight of at least one channel, one filter and one element each way"));
    }
  }
  const Shape shown = shown_x();
  for (int i = 1; i < 4; ++i) {
    if (shown[i] < 1) {
      throw ShapeError(message("the input has no pixels or channels.")
                           .expected("x.shape[{}] = {} >= 1; only the batch may be empty", i, role(x_roles(), i))
                           .got("{}", shown[i])
                           .fix("feed images of at least one pixel and one channel"));
    }
  }
}

std::string Conv2DArguments::geometry() const {
  return fmt::format("stride ({}, {}), padding top {}, bottom {}, left {}, right {}, dilation ({}, {})", stride[0],
                     stride[1], sides.before[0], sides.after[0], sides.before[1], sides.after[1], dilation[0],
                     dilation[1]);
}

Message Conv2DArguments::message(std::string_view problem) const {
  return Message(op, problem).line("x {}  ({})", shown_x(), x_roles()).line("w {}  ({})", w, w_roles());
}

Message Conv2DArguments::message_with_geometry(std::string_view problem) const {
  return message(problem).line("{}", geometry());
}

std::string Conv2DArguments::format_hint(std::int64_t wanted) const {
  const Shape shown = shown_x();
  const int other = is_channel_last() ? 1 : 3;
  if (shown[other] != wanted) return "";
  const std::string_view name = is_channel_last() ? "NCHW" : "NHWC";
  return fmt::format("; x.shape[{}] is {}: if these are the channels, use data_format = \"{}\"", other, wanted, name);
}

}  // namespace dygrad::detail
