// Text forms of tensors.
#pragma once

#include <iosfwd>
#include <string>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// How `to_string(Tensor)` prints: like numpy, columns aligned, long dimensions shortened, scientific notation where
/// fixed would hide digits.
struct PrintOptions {
  int precision = 4;                       ///< most digits after the point
  std::int64_t threshold = 1000;           ///< more elements than this are summarised
  std::int64_t edge_items = 3;             ///< items kept at each end of a summarised dimension
  std::string::size_type line_width = 88;  ///< characters
};

/// Values in nested brackets, then shape and dtype: `tensor([[1., 2.]], shape=[1, 2], dtype=float32)`.
/// `tensor(undefined)` for an undefined one.
DYGRAD_API std::string to_string(const Tensor& tensor, const PrintOptions& options = {});

DYGRAD_API std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace dygrad
