// The same values in other memory: cast, clone, contiguous.
#include <dygrad/autograd/ops/shape/shape.h>

#include <dygrad/autograd/apply.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad {

namespace {

struct Cast {
  static constexpr std::string_view name = "cast";
  DType from, to;
  Tensor forward(const Tensor& x) const { return kernel::cast(x, to); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {cast(g, from)}; }
};

struct Clone {
  static constexpr std::string_view name = "clone";
  Tensor forward(const Tensor& x) const { return kernel::clone(x); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};

struct Contiguous {
  static constexpr std::string_view name = "contiguous";
  MemoryFormat format;
  Tensor forward(const Tensor& x) const { return kernel::contiguous(x, format); }
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const { return {g}; }
};

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  detail::check_defined("cast", "x", x);
  if (x.dtype() == dtype) return x;
  if (!is_floating(dtype) || !is_floating(x.dtype())) return kernel::cast(x, dtype);
  return apply(Cast{x.dtype(), dtype}, x);
}

Tensor clone(const Tensor& x) {
  detail::check_defined("clone", "x", x);
  return apply(Clone{}, x);
}

Tensor contiguous(const Tensor& x, MemoryFormat format) {
  detail::check_defined("contiguous", "x", x);
  if (x.rank() != 4) format = MemoryFormat::row_major;
  if (x.is_contiguous(format)) return x;
  return apply(Contiguous{format}, x);
}

}  // namespace dygrad
