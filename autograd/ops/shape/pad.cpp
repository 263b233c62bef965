#include <dygrad/autograd/ops/shape/shape.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/shape/detail/support.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

/// Puts x into a tensor of shape `to`, element 0 of each dimension at `before`, which lies in [-from, to]: what falls
/// outside is cropped, what is left free gets the value.
struct Pad {
  static constexpr std::string_view name = "pad";
  Shape from, to;
  std::array<std::int64_t, kMaxRank> before;
  double value;
  Tensor forward(const Tensor& x) const {
    Tensor source = x;
    bool fills = true;
    for (int i = 0; i < to.rank(); ++i) {
      const std::int64_t at = before[static_cast<std::size_t>(i)];
      const std::int64_t first = std::max<std::int64_t>(-at, 0), place = std::max<std::int64_t>(at, 0);
      source = view::slice(source, i, first, first + std::min(from[i] - first, to[i] - place));
      fills = fills && source.shape()[i] == to[i];
    }
    if (fills) return source;
    Tensor result = Tensor::empty(to, x.dtype(), detail::format_of(x));
    Tensor window = result;
    for (int i = 0; i < to.rank(); ++i) {
      const std::int64_t at = std::max<std::int64_t>(before[static_cast<std::size_t>(i)], 0);
      window = detail::fill_around(window, i, at, at + source.shape()[i], value);
    }
    kernel::copy(source, window);
    return result;
  }
  // The adjoint of padding with zeros is cropping, and the other way round.
  Grads<1> vjp(const Tensor& g, const Saved&, NeedsGrad) const {
    std::array<std::int64_t, kMaxRank> opposite{};
    for (std::size_t i = 0; i < kMaxRank; ++i) opposite[i] = -before[i];
    return {apply(Pad{to, from, opposite, 0}, g)};
  }
};

/// Throws DtypeError unless the value is one of the dtype's, up to rounding.
void check_value(const Tensor& x, double value) {
  const bool holds = dispatch_all(x.dtype(), [&]<class T>() {
    if constexpr (std::is_floating_point_v<T>) {
      return !std::isfinite(value) || std::abs(value) <= static_cast<double>(std::numeric_limits<T>::max());
    } else {
      constexpr double kEnd = std::is_same_v<T, std::int64_t> ? 0x1p63 : std::is_same_v<T, bool> ? 2 : 256;
      return value == std::trunc(value) && value >= static_cast<double>(std::numeric_limits<T>::min()) && value < kEnd;
    }
  });
  if (holds) return;
  throw DtypeError(Message("pad", "the value does not fit the tensor's dtype.")
                       .line("x {} {}", x.dtype(), x.shape())
                       .expected("a value that {} holds", x.dtype())
                       .got("{}", value)
                       .fix("convert the tensor first, as in x.to(float64)"));
}

}  // namespace

Tensor pad(const Tensor& x, std::span<const PadAmount> amounts, double value) {
  detail::check_defined("pad", "x", x);
  if (amounts.size() > x.shape().size()) {
    throw ShapeError(Message("pad", "there are more amounts than dimensions.")
                         .line("x {}", x.shape())
                         .expected("at most {} amounts", x.rank())
                         .got("{}", amounts.size())
                         .fix("leave out the first {}", amounts.size() - x.shape().size()));
  }
  check_value(x, value);
  Pad op{x.shape(), x.shape(), {}, value};
  const std::size_t skipped = x.shape().size() - amounts.size();
  for (std::size_t i = 0; i < amounts.size(); ++i) {
    const auto [before, after] = amounts[i];
    const int dim = static_cast<int>(skipped + i);
    std::int64_t& extent = op.to[dim];
    if (__builtin_add_overflow(extent, before, &extent) || __builtin_add_overflow(extent, after, &extent) ||
        extent < 0) {
      throw ShapeError(Message("pad", "the padded extent is out of range.")
                           .line("x {}, dimension {}", x.shape(), dim)
                           .expected("x's extent + before + after >= 0, within 64 bits")
                           .got("before {}, after {}", before, after)
                           .fix("crop less than there is, or pad less"));
    }
    op.before[skipped + i] = std::clamp(before, -x.shape()[dim], extent);
  }
  return apply(op, x);
}

}  // namespace dygrad
