#include <dygrad/autograd/ops/matmul.h>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/dispatch/backend.h>

namespace dygrad {

namespace {

/// [B..., M, K] times [B..., K, N], with equal batch dimensions.
struct MatMul {
  static constexpr std::string_view name = "matmul";
  Tensor forward(const Tensor& a, const Tensor& b) const {
    Shape y = a.shape();
    y[y.rank() - 1] = b.shape().back();
    if (num_elements(y) == 0 || a.num_elements() == 0) return zeros(y, a.dtype());
    return dygrad::compute({Problem::Kind::matmul, a.dtype(), nullptr, a.shape(), b.shape(), y}, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0, need[1]) | save_input(1, need[0]); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const {
    return {need[0] ? matmul(g, transpose(saved[1], -1, -2)) : Tensor(),
            need[1] ? matmul(transpose(saved[0], -1, -2), g) : Tensor()};
  }
};

/// Leading dimensions: all but the last two.
Shape batch_of(const Shape& shape) { return Shape(std::span<const std::int64_t>(shape.begin(), shape.size() - 2)); }

Tensor expand_batch(const Tensor& x, const Shape& batch) {
  Shape shape = batch;
  for (int i = x.rank() - 2; i < x.rank(); ++i) shape.push_back(x.shape()[i]);
  return expand(x, shape);
}

/// Throws ShapeError unless the leading dimensions broadcast.
void check_batches(const Shape& a, const Shape& b) {
  for (int back = 3; back <= std::min(a.rank(), b.rank()); ++back) {
    const std::int64_t m = a[a.rank() - back], n = b[b.rank() - back];
    if (m == n || m == 1 || n == 1) continue;
    throw ShapeError(Message(MatMul::name, "batch dimensions do not broadcast.")
                         .line("a {}, b {}", a, b)
                         .expected("equal extents, or 1, at dimension {}", -back)
                         .got("{} and {}", m, n)
                         .fix("reshape one operand so that each batch extent matches or is 1"));
  }
}

/// What would make the inner sizes fit.
std::string_view remedy_for(const Shape& a, const Shape& b) {
  const std::int64_t inner_a = a.back(), inner_b = b[std::max(b.rank() - 2, 0)];
  const std::int64_t outer_a = a.rank() > 1 ? a[a.rank() - 2] : -1, outer_b = b.rank() > 1 ? b.back() : -1;
  if (a.rank() == 1 && b.rank() == 1) return "give vectors of one length";
  if (outer_a == inner_b) return "transpose a";
  if (inner_a == outer_b) return "transpose b";
  if (outer_a == outer_b) return "swap the operands, or transpose both";
  return "reshape one operand so that its inner size is the other's";
}

/// Operands of rank 2 or more with fitting inner sizes.
Tensor multiply(const Tensor& a, const Tensor& b) {
  const Shape batch_a = batch_of(a.shape()), batch_b = batch_of(b.shape());
  if (batch_a == batch_b) return apply(MatMul{}, a, b);
  if (batch_b.empty()) {
    // One matrix for the whole batch: a single tall product, and a single one for its gradient.
    Shape tall(num_elements(batch_a) * a.shape()[a.rank() - 2], a.shape().back());
    Shape result = a.shape();
    result[result.rank() - 1] = b.shape().back();
    return reshape(apply(MatMul{}, reshape(a, tall), b), result);
  }
  check_batches(a.shape(), b.shape());
  const Shape batch = broadcast_shapes(batch_a, batch_b, MatMul::name);
  return apply(MatMul{}, expand_batch(a, batch), expand_batch(b, batch));
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  detail::check_same_dtype(MatMul::name, a, b);
  if (!is_floating(a.dtype())) detail::fail_not_floating(MatMul::name, a.dtype());
  if (a.rank() == 0 || b.rank() == 0) {
    throw ShapeError(Message(MatMul::name, "an operand has no dimensions.")
                         .line("a {}, b {}", a.shape(), b.shape())
                         .expected("ranks of at least 1")
                         .got("{} and {}", a.rank(), b.rank())
                         .fix("multiply numbers with *"));
  }
  const std::int64_t inner_a = a.shape().back();
  const std::int64_t inner_b = b.shape()[std::max(b.rank() - 2, 0)];
  if (inner_a != inner_b) {
    throw ShapeError(Message(MatMul::name, "inner sizes differ.")
                         .line("a {}, b {}", a.shape(), b.shape())
                         .expected("a.dim(-1) == b.dim({})", b.rank() == 1 ? -1 : -2)
                         .got("{} and {}", inner_a, inner_b)
                         .fix("{}", remedy_for(a.shape(), b.shape())));
  }
  Tensor y = multiply(a.rank() == 1 ? unsqueeze(a, 0) : a, b.rank() == 1 ? unsqueeze(b, 1) : b);
  if (b.rank() == 1) y = squeeze(y, -1);
  if (a.rank() == 1) y = squeeze(y, b.rank() == 1 ? -1 : -2);
  return y;
}

}  // namespace dygrad
