// What ops of two tensors have in common: equal dtypes, and numpy's broadcasting written as a differentiable expand, so
// that op structs only ever see equal shapes. For the .cpp files of autograd/ops.
#pragma once

#include <string_view>
#include <utility>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/shape.h>

namespace dygrad::detail {

[[noreturn]] void fail_mixed_dtypes(std::string_view op, const Tensor& a, const Tensor& b);

inline void check_same_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  check_defined(op, "a", a);
  check_defined(op, "b", b);
  if (a.dtype() != b.dtype()) fail_mixed_dtypes(op, a, b);
}

/// x itself, or expanded to `shape`.
inline Tensor expanded(const Tensor& x, const Shape& shape) { return x.shape() == shape ? x : expand(x, shape); }

/// Applies the op to a and b brought to their common shape.
template <class Op>
Tensor apply_broadcast(Op op, const Tensor& a, const Tensor& b) {
  check_same_dtype(Op::name, a, b);
  if (a.shape() == b.shape()) return apply(std::move(op), a, b);
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), Op::name);
  return apply(std::move(op), expanded(a, shape), expanded(b, shape));
}

}  // namespace dygrad::detail
