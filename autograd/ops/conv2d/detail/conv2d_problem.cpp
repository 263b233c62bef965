#include <dygrad/autograd/ops/conv2d/detail/conv2d_problem.h>

#include <algorithm>
#include <limits>
#include <new>

#include <dygrad/core/base/detail/message.h>

namespace dygrad::detail {

namespace {

// Sums of products of two 64-bit extents are exact here.
__extension__ using Wide = __int128;

std::string geometry_text(const Conv2DParams& p) {
  return fmt::format("stride ({}, {}), padding ({}, {}), dilation ({}, {}), groups {}", p.stride[0], p.stride[1],
                     p.padding[0], p.padding[1], p.dilation[0], p.dilation[1], p.groups);
}

}  // namespace

void check_result_size(std::string_view op, const Conv2DParams& p, const Shape& x, const Shape& w, const Shape& result,
                       DType dtype) {
  constexpr auto kMax = static_cast<double>(std::numeric_limits<std::int64_t>::max());
  double bytes = static_cast<double>(size_of(dtype));
  for (const std::int64_t extent : result) bytes *= static_cast<double>(extent);
  if (bytes < kMax / 2) return;  // far from what rounding could hide
  try {
    (void)num_bytes(result, size_of(dtype));
  } catch (const ShapeError&) {
    throw ShapeError(Message(op, "the result has more bytes than 64 bits can count.")
                         .line("x {}, w {}", x, w)
                         .line("{}", geometry_text(p))
                         .expected("at most 2^63 - 1 bytes")
                         .got("{} of {}", result, dtype)
                         .fix("use a smaller stride, dilation, padding or input"));
  }
}

void check_problem(std::string_view op, const Conv2DParams& p, const Shape& x, const Shape& w, const Shape& y) {
  const auto fail = [&](std::string_view problem, std::string_view rule) {
    throw ShapeError(Message(op, problem)
                         .line("x {}  (N, C, H, W)", x)
                         .line("w {}  (C, O/groups, kh, kw)", w)
                         .line("y {}  (N, O, OH, OW)", y)
                         .line("{}", geometry_text(p))
                         .line("input extent ({}, {}), output extent ({}, {})", p.input_extent[0], p.input_extent[1],
                               p.output_extent[0], p.output_extent[1])
                         .expected("{}", rule)
                         .got("the above")
                         .fix("make the parameters with infer_conv2d_transpose_params(), or correct what is above"));
  };
  if (x.rank() != 4 || w.rank() != 4 || y.rank() != 4) fail("an operand has the wrong rank.", "ranks of 4");
  if (p.groups < 1) fail("invalid parameters.", "groups >= 1");
  for (std::size_t i = 0; i < 2; ++i) {
    if (p.stride[i] < 1 || p.dilation[i] < 1 || p.padding[i] < 0) {
      fail("invalid parameters.", "stride >= 1, dilation >= 1, padding >= 0");
    }
    const int axis = 2 + static_cast<int>(i);
    if (p.input_extent[i] < 1 || p.output_extent[i] < 1 || w[axis] < 1) {
      fail("invalid parameters.", "images and kernels of at least one pixel");
    }
    if (x[axis] != p.input_extent[i]) fail("x does not have the stated extent.", "(H, W) equal to the input extent");
    if (y[axis] != p.output_extent[i])
      fail("y does not have the stated extent.", "(OH, OW) equal to the output extent");
    const Wide reach = (Wide{x[axis]} - 1) * p.stride[i] + Wide{p.dilation[i]} * (w[axis] - 1) + 1;
    if (reach + p.padding[i] + y[axis] > std::numeric_limits<std::int64_t>::max()) {
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
  for (const Shape* shape : {&x, &w, &y}) check_result_size(op, p, x, w, *shape, DType::float64);
}

void fail_with_conv2d_problem(const OutOfMemory& error, const Conv2DParams& p, const Shape& x, const Shape& w,
                              const Shape& y) {
  try {
    std::string text = error.what();
    const std::string lines =
        fmt::format("\n  x {}, w {}, y {}, as a transposed convolution from x to y\n  {}", x, w, y, geometry_text(p));
    throw OutOfMemory(text.insert(std::min(text.find("\n  fix: "), text.size()), lines));
  } catch (const std::bad_alloc&) {
    throw error;
  }
}

}  // namespace dygrad::detail
