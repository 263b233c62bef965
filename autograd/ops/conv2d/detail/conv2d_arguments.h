// Unresolved arguments of a 2-D convolution, and the error messages about them. For conv2d_resolve.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <dygrad/autograd/ops/conv2d/conv2d_options.h>
#include <dygrad/core/base/detail/message.h>

namespace dygrad::detail {

/// Numbers of rows and columns of padding.
struct PaddingSides {
  std::array<std::int64_t, 2> before, after;
};

/// What transposed and ordinary convolution share of their arguments.
struct Conv2DArguments {
  std::string_view op;
  bool is_transposed;
  const Shape& x;  // NCHW
  const Shape& w;
  DataFormat format;
  std::array<std::int64_t, 2> stride, dilation;
  std::int64_t groups;
  PaddingSides sides{};

  /// Ranks and values, before anything is computed from them.
  void check() const;

  bool is_channel_last() const { return format == DataFormat::NHWC && x.rank() == 4; }
  /// x's extents in the order of the data format.
  Shape shown_x() const { return is_channel_last() ? Shape(x[0], x[2], x[3], x[1]) : x; }
  std::string_view x_roles() const { return format == DataFormat::NHWC ? "N, H, W, C" : "N, C, H, W"; }
  std::string_view w_roles() const { return is_transposed ? "C, O/groups, kh, kw" : "O, C/groups, kh, kw"; }
  /// "stride (2, 2), padding top 0, bottom 0, left 0, right 0, dilation (1, 1)".
  std::string geometry() const;

  /// With x and w in lines of their own.
  Message message(std::string_view problem) const;
  /// The same, with what sizes follow from.
  Message message_with_geometry(std::string_view problem) const;
  /// For an input with another number of channels than `wanted`: what else it may be, or nothing.
  std::string format_hint(std::int64_t wanted) const;
};

}  // namespace dygrad::detail
