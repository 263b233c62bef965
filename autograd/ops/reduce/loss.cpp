#include <dygrad/autograd/ops/reduce/loss.h>

#include <cmath>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/activation.h>
#include <dygrad/autograd/ops/elementwise/detail/number_check.h>
#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/kernels/elementwise_sum.h>
#include <dygrad/core/simd/vector_math.h>

namespace dygrad {

namespace {

void check_pair(std::string_view op, const Tensor& x, const Tensor& y, std::string_view role,
                std::string_view first = "x") {
  detail::check_defined(op, first, x);
  detail::check_defined(op, role, y);
  if (x.dtype() != y.dtype()) {
    throw DtypeError(Message(op, "prediction and target have different dtypes.")
                         .expected("{} of dtype {}", role, x.dtype())
                         .got("{}", y.dtype())
                         .fix("convert with to()"));
  }
  if (!is_floating(x.dtype())) detail::fail_not_floating(op, x.dtype());
  if (x.shape() != y.shape()) {
    throw ShapeError(Message(op, "prediction and target have different shapes.")
                         .expected("{} of shape {}", role, x.shape())
                         .got("{}", y.shape())
                         .fix("reshape or expand one of them; losses do not broadcast"));
  }
}

// Note [Losses and their sums]
// A loss is a struct with `forward`, the function of numbers, and `vjp`. ElementLosses is the op that returns a loss
// per element, SummedLoss the one that returns their sum and never makes a tensor of them.
template <class Loss>
struct ElementLosses {
  static constexpr std::string_view name = Loss::name;
  Tensor forward(const Tensor& x, const Tensor& y) const {
    return kernel::map(
        name, [](auto a, auto b) { return Loss::forward(a, b); }, x, y);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return Loss::save_for_backward(need); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) { return Loss::vjp(g, saved, need); }
};

template <class Loss>
struct SummedLoss {
  static constexpr std::string_view name = Loss::name;
  Shape shape;
  Tensor forward(const Tensor& x, const Tensor& y) const {
    return kernel::map_sum(
        name, [](auto a, auto b) { return Loss::forward(a, b); }, x, y);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return Loss::save_for_backward(need); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) const {
    return Loss::vjp(expand(g, shape), saved, need);
  }
};

Tensor reduce(const Tensor& losses, Reduction reduction) {
  detail::check_reduction(reduction);
  switch (reduction) {
    case Reduction::mean: return mean(losses);
    case Reduction::sum: return sum(losses);
    case Reduction::none: return losses;
  }
  return losses;
}

template <class Loss>
Tensor apply_loss(const Tensor& x, const Tensor& y, Reduction reduction) {
  detail::check_reduction(reduction);
  if (reduction == Reduction::none) return apply(ElementLosses<Loss>{}, x, y);
  const Tensor total = apply(SummedLoss<Loss>{x.shape()}, x, y);
  return reduction == Reduction::sum ? total : total / static_cast<double>(x.num_elements());
}

/// 2 (x - y) g, linear in both x - y and g.
struct SquaredErrorGrad {
  static constexpr std::string_view name = "squared_error_grad";
  Tensor forward(const Tensor& x, const Tensor& y, const Tensor& g) const {
    return kernel::map(
        name, [](auto a, auto b, auto c) { return (a - b) * (c + c); }, x, y, g);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0, need[2]) | save_input(1, need[2]) | save_input(2, need[0] || need[1]);
  }
  Grads<3> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    Grads<3> grads;
    if (need[0] || need[1]) grads[0] = h * saved[2] * 2;
    if (need[1]) grads[1] = -grads[0];
    if (need[2]) grads[2] = apply(SquaredErrorGrad{}, saved[0], saved[1], h);
    return grads;
  }
};

struct SquaredError {
  static constexpr std::string_view name = "squared_error";
  static auto forward(auto x, auto y) { return (x - y) * (x - y); }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_input(1); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    Grads<2> grads;
    grads[0] = apply(SquaredErrorGrad{}, saved[0], saved[1], g);
    if (need[1]) grads[1] = -grads[0];
    return grads;
  }
};

/// Of the difference: quadratic near zero, linear from beta on.
struct SmoothL1 : detail::SavesInput {
  static constexpr std::string_view name = "smooth_l1";
  double beta;
  auto forward(auto d) const {
    const auto edge = detail::constant_like(d, beta);
    const auto size = std::abs(d);
    return size < edge ? d * (d / edge) / 2 : size - edge / 2;  // d * d may overflow
  }
  auto vjp(auto g, auto d) const {
    const auto edge = detail::constant_like(d, beta);
    return d >= edge ? g : d <= -edge ? -g : g * (d / edge);
  }
  Tensor vjp_grad(const Tensor& p, const Tensor& d) const {
    return where(abs(d) < detail::rounded_to(d.dtype(), beta), p / beta, zeros_like(p));
  }
};

/// (sigmoid(x) - z) g, linear in both z and g. For positive x that is (1 - z) - sigmoid(-x), where neither term has
/// lost what the other one is.
struct BceWithLogitsGrad {
  static constexpr std::string_view name = "bce_with_logits_grad";
  Tensor forward(const Tensor& x, const Tensor& z, const Tensor& g) const {
    return kernel::map(
        name,
        [](auto v, auto t, auto c) {
          const auto s = vec::sigmoid(-std::abs(v));
          return (v > 0 ? (1 - t) - s : s - t) * c;
        },
        x, z, g);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) {
    return save_input(0, need[0] || need[2]) | save_input(1, need[2]) | save_input(2, need[0] || need[1]);
  }
  Grads<3> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) const {
    Grads<3> grads;
    if (need[0]) grads[0] = h * saved[2] * sigmoid(saved[0]) * sigmoid(-saved[0]);
    if (need[1]) grads[1] = -(h * saved[2]);
    if (need[2]) grads[2] = apply(BceWithLogitsGrad{}, saved[0], saved[1], h);
    return grads;
  }
};

/// log(1 + e^x) - x z = |x| w + log(1 + e^-|x|), where w is 1 - z for positive x, else z. With w = 0 the limit for
/// infinite x is 0.
struct BceWithLogits {
  static constexpr std::string_view name = "bce_with_logits";
  static auto forward(auto x, auto z) {
    using T = decltype(x);
    const T size = std::abs(x), weight = x > 0 ? 1 - z : z;
    return (weight == 0 ? T{0} : size * weight) + vec::softplus(-size);
  }
  static SaveForBackward save_for_backward(NeedsGrad need) { return save_input(0) | save_input(1, need[0]); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? apply(BceWithLogitsGrad{}, saved[0], saved[1], g) : Tensor(),
            need[1] ? -(saved[0] * g) : Tensor()};
  }
};

}  // namespace

void detail::check_reduction(Reduction reduction) {
  if (reduction <= Reduction::none) return;
  throw InvalidArgument(Message("loss", "the reduction is a value outside of the list.")
                            .expected("Reduction::mean, sum or none")
                            .got("{}", static_cast<int>(reduction))
                            .fix("use one of these constants"));
}

Tensor mse_loss(const Tensor& x, const Tensor& y, Reduction reduction) {
  check_pair("mse_loss", x, y, "y");
  return apply_loss<SquaredError>(x, y, reduction);
}

Tensor square_error_cost(const Tensor& x, const Tensor& y) {
  check_pair("square_error_cost", x, y, "y");
  return apply_loss<SquaredError>(x, y, Reduction::none);
}

Tensor l1_loss(const Tensor& x, const Tensor& y, Reduction reduction) {
  check_pair("l1_loss", x, y, "y");
  return reduce(abs(x - y), reduction);
}

Tensor smooth_l1_loss(const Tensor& x, const Tensor& y, Reduction reduction, double beta) {
  check_pair("smooth_l1_loss", x, y, "y");
  if (!(beta > 0)) {
    throw InvalidArgument(Message("smooth_l1_loss", "beta must be positive.")
                              .expected("beta > 0")
                              .got("{}", beta)
                              .fix("use l1_loss for beta = 0"));
  }
  detail::check_divisor("smooth_l1_loss", "beta", beta, x.dtype());
  return reduce(detail::apply_unary(SmoothL1{{}, beta}, x - y), reduction);
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction) {
  check_pair("bce_with_logits", logits, target, "target", "logits");
  return apply_loss<BceWithLogits>(logits, target, reduction);
}

}  // namespace dygrad
