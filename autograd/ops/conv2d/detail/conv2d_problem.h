// One valid problem of the convolution family, and its errors. For conv2d.cpp.
#pragma once

#include <string>
#include <string_view>

#include <dygrad/core/base/error.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad::detail {

/// Throws ShapeError unless x [N, C, H, W], w [C, O/groups, kh, kw] and y [N, O, OH, OW] are one valid problem.
void check_problem(std::string_view op, const Conv2DParams& p, const Shape& x, const Shape& w, const Shape& y);

/// Throws ShapeError if the result has more bytes than 64 bits can count. `x` and `w` are the op's arguments.
void check_result_size(std::string_view op, const Conv2DParams& p, const Shape& x, const Shape& w, const Shape& result,
                       DType dtype);

/// Throws the error with the problem's numbers, which may be what asked for so much.
[[noreturn]] void fail_with_conv2d_problem(const OutOfMemory& error, const Conv2DParams& p, const Shape& x,
                                           const Shape& w, const Shape& y);

template <class F>
Tensor with_conv2d_problem(const Conv2DParams& p, const Shape& x, const Shape& w, const Shape& y, const F& f) {
  try {
    return f();
  } catch (const OutOfMemory& error) {
    fail_with_conv2d_problem(error, p, x, w, y);
  }
}

}  // namespace dygrad::detail
