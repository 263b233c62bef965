#include <dygrad/autograd/ops/reduce/detail/softmax_jacobian.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/detail/softmax_kernel.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/kernels/copy.h>

namespace dygrad::detail {

namespace {

enum class Product : std::uint8_t { softmax_vjp, log_softmax_vjp, log_softmax_jvp };

template <class T>
using PerLine = std::array<T, static_cast<std::size_t>(kernel::kBlockLines)>;

template <class T>
bool dominates(T p) {
  return p > T{0.5};
}

/// out(i, j) = f(g(i, j), p(i, j), a[j], b[j], c[j]). Call it inside vectorize().
template <class T, class F>
[[gnu::always_inline]] inline void map_block(const kernel::LineBlock<T>& out, const kernel::LineBlock<const T>& g,
                                             const kernel::LineBlock<const T>& p, const T* a, const T* b, const T* c,
                                             const F& f) {
  if (out.is_along) {
    T* const to = out.data;
    const T *const from = g.data, *const weight = p.data, own_a = *a, own_b = *b, own_c = *c;
    const std::int64_t length = out.length;
    DYGRAD_IVDEP
    for (std::int64_t i = 0; i < length; ++i) to[i] = f(from[i], weight[i], own_a, own_b, own_c);
    return;
  }
  const std::int64_t lines = out.lines;
  for (std::int64_t i = 0; i < out.length; ++i) {
    T* const to = out.data + i * out.step;
    const T *const from = g.data + i * g.step, *const weight = p.data + i * p.step;
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < lines; ++j) to[j] = f(from[j], weight[j], a[j], b[j], c[j]);
  }
}

/// to[j] = g(i, j) of the class that dominates line j, 0 without one. Call it inside vectorize().
template <class T>
[[gnu::always_inline]] inline void find_dominant(const kernel::LineBlock<const T>& g,
                                                 const kernel::LineBlock<const T>& p, T* to) {
  const std::int64_t lines = g.lines;
  if (g.is_along) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    const T *const from = g.data, *const weight = p.data;
    const std::int64_t length = g.length;
    Bits bits = 0;  // of the only one, if any: so there is no order of additions to keep
    for (std::int64_t i = 0; i < length; ++i) bits |= dominates(weight[i]) ? std::bit_cast<Bits>(from[i]) : Bits{0};
    to[0] = std::bit_cast<T>(bits);
    return;
  }
  for (std::int64_t j = 0; j < lines; ++j) to[j] = 0;
  for (std::int64_t i = 0; i < g.length; ++i) {
    const T *const from = g.data + i * g.step, *const weight = p.data + i * p.step;
    DYGRAD_IVDEP
    for (std::int64_t j = 0; j < lines; ++j) to[j] = dominates(weight[j]) ? from[j] : to[j];
  }
}

/// Returns whether the sums that the products are computed from are finite. With kScaled, computes from g / scale.
template <Product kProduct, bool kScaled, class T>
[[gnu::always_inline]] inline bool multiply_lines(const kernel::LineBlock<const T>& g,
                                                  const kernel::LineBlock<const T>& p, const kernel::LineBlock<T>& out,
                                                  T scale) {
  const auto scaled = [scale](T v) { return kScaled ? v / scale : v; };
  const auto unscaled = [scale](T v) { return kScaled ? v * scale : v; };
  alignas(64) PerLine<T> shift, sum, others_p, others_g;
  if (g.length < 1 || g.lines < 1) return true;
  const auto lines = static_cast<std::size_t>(g.lines);
  find_dominant<T>(g, p, shift.data());
  for (std::size_t j = 0; j < lines; ++j) shift[j] = scaled(shift[j]);
  if constexpr (kProduct == Product::log_softmax_vjp) {
    kernel::sum_lines<T>(g, p, shift.data(), others_g.data(),
                         [scaled](T v, T q, T) { return dominates(q) ? T{0} : scaled(v); });
    kernel::sum_lines<T>(g, p, shift.data(), others_p.data(), [](T, T q, T) { return dominates(q) ? T{0} : q; });
    for (std::size_t j = 0; j < lines; ++j) sum[j] = shift[j] + others_g[j];
    map_block<T>(out, g, p, sum.data(), others_p.data(), others_g.data(),
                 [scaled, unscaled](T v, T q, T total, T other_p, T other_g) {
                   const T of_rest = scaled(v) - q * total, of_dominant = scaled(v) * other_p - q * other_g;
                   return unscaled(dominates(q) ? of_dominant : of_rest);
                 });
  } else {
    // An infinite g[k] stays in the sum, and one so large that a difference may overflow.
    for (std::size_t j = 0; j < lines; ++j)
      shift[j] = std::abs(shift[j]) < std::numeric_limits<T>::max() / 4 ? shift[j] : T{0};
    kernel::sum_lines<T>(g, p, shift.data(), sum.data(), [scaled](T v, T q, T own) { return q * (scaled(v) - own); });
    map_block<T>(out, g, p, shift.data(), sum.data(), sum.data(), [scaled, unscaled](T v, T q, T own, T products, T) {
      const T distance = scaled(v) - own - products;
      return unscaled(kProduct == Product::softmax_vjp ? q * distance : distance);
    });
  }
  bool is_finite = true;
  for (std::size_t j = 0; j < lines; ++j) is_finite = is_finite & (std::abs(sum[j]) <= std::numeric_limits<T>::max());
  return is_finite;
}

template <Product kProduct, class T>
void multiply_block(const kernel::LineBlock<const T>& g, const kernel::LineBlock<const T>& p,
                    const kernel::LineBlock<T>& out) {
  bool is_finite = true;
  kernel::vectorize([g, p, out, &is_finite] { is_finite = multiply_lines<kProduct, false, T>(g, p, out, T{1}); });
  if (is_finite) return;
  // Sums of huge gradients may overflow where the products do not: such lines once more, of smaller ones.
  const T scale = std::ldexp(T{1}, 3 + std::ilogb(static_cast<T>(g.length)));
  for (std::int64_t j = 0; j < out.lines; ++j) {
    const auto line = [j]<class U>(kernel::LineBlock<U> all) {
      all.data += j;
      all.lines = 1;
      return all;
    };
    if (!multiply_lines<kProduct, false, T>(line(g), line(p), line(out), T{1}))
      multiply_lines<kProduct, true, T>(line(g), line(p), line(out), scale);
  }
}

/// [kept dimensions..., elements of the reduced ones]
Tensor as_lines(const Tensor& x, const Axes& order, std::int64_t length) {
  const Tensor dense = kernel::contiguous(view::permute(x, order));
  return *view::reshape(dense, Shape(length == 0 ? 0 : x.num_elements() / length, length));
}

template <Product kProduct>
Tensor product_along(const Tensor& g, const Tensor& p, int axis) {
  const Tensor result = kernel::empty_like(p, p.dtype());
  dispatch_float(p.dtype(), "softmax_grad", [&]<class T>() {
    kernel::for_each_block<T>(axis, std::array{&p, &g}, &result, {},
                              [](const auto& in, const auto& out, const auto&, const auto&) {
                                multiply_block<kProduct, T>(in[1], in[0], out);
                              });
  });
  return result;
}

template <Product kProduct>
struct JacobianProduct {
  static constexpr std::string_view name = kProduct == Product::softmax_vjp       ? "softmax_grad"
                                           : kProduct == Product::log_softmax_vjp ? "log_softmax_grad"
                                                                                  : "log_softmax_jvp";
  Axes axes;

  Tensor forward(const Tensor& g, const Tensor& p) const {
    if (axes.rank() == 1) return product_along<kProduct>(g, p, static_cast<int>(axes[0]));
    std::array<bool, kMaxRank> is_reduced{};
    for (const std::int64_t axis : axes) is_reduced[static_cast<std::size_t>(axis)] = true;
    Axes order;
    Shape ordered;
    std::int64_t length = 1;
    for (const bool reduced : {false, true}) {
      for (int i = 0; i < p.rank(); ++i) {
        if (is_reduced[static_cast<std::size_t>(i)] != reduced) continue;
        order.push_back(i);
        ordered.push_back(p.shape()[i]);
        length *= reduced ? p.shape()[i] : 1;
      }
    }
    const Tensor lines = product_along<kProduct>(as_lines(g, order, length), as_lines(p, order, length), 1);
    Axes inverse = order;
    for (int i = 0; i < order.rank(); ++i) inverse[static_cast<int>(order[i])] = i;
    return kernel::contiguous(view::permute(*view::reshape(lines, ordered), inverse));
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0, need[1]) | save_input(1); }

  // d(J g)/dp h = (L g) (L h) up to a constant; d(L g)/dp h = -(L g) sum(h); d(L^T g)/dp h = -(L h) sum(g), the same.
  Grads<2> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    const Tensor& p = saved[1];
    Grads<2> grads;
    if constexpr (kProduct == Product::softmax_vjp) {
      if (need[0]) grads[0] = softmax_vjp(h, p, axes);
      if (need[1]) grads[1] = log_softmax_jvp(saved[0], p, axes) * log_softmax_jvp(h, p, axes);
    } else if constexpr (kProduct == Product::log_softmax_vjp) {
      const Tensor distances = log_softmax_jvp(h, p, axes);
      if (need[1]) grads[1] = distances * neg(sum(saved[0], axes, true));
      if (need[0]) grads[0] = distances;
    } else {
      if (need[0]) grads[0] = log_softmax_vjp(h, p, axes);
      if (need[1]) grads[1] = log_softmax_jvp(saved[0], p, axes) * neg(sum(h, axes, true));
    }
    return grads;
  }
};

}  // namespace

Tensor softmax_vjp(const Tensor& g, const Tensor& p, const Axes& axes) {
  return apply(JacobianProduct<Product::softmax_vjp>{axes}, g, p);
}
Tensor log_softmax_vjp(const Tensor& g, const Tensor& p, const Axes& axes) {
  return apply(JacobianProduct<Product::log_softmax_vjp>{axes}, g, p);
}
Tensor log_softmax_jvp(const Tensor& g, const Tensor& p, const Axes& axes) {
  return apply(JacobianProduct<Product::log_softmax_jvp>{axes}, g, p);
}

}  // namespace dygrad::detail
