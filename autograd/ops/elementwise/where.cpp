// Ops that pass one of their operands on: where, maximum, minimum, clip.
#include <array>

#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/elementwise/detail/number_check.h>
#include <dygrad/autograd/ops/elementwise/detail/unary.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>

namespace dygrad {

namespace {

// x where the condition is as wanted, else 0.
struct Mask {
  static constexpr std::string_view name = "mask";
  bool wanted;
  Tensor forward(const Tensor& condition, const Tensor& x) const {
    Tensor y = kernel::empty_like(kernel::leading(std::array{&x, &condition}), x.dtype());
    dispatch_float(x.dtype(), name, [&]<class T>() {
      kernel::map_into<T, bool, T>([w = wanted](bool c, T v) { return c == w ? v : T(0); }, y, condition, x);
    });
    return y;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad) const { return {Tensor(), apply(*this, saved[0], g)}; }
};

struct Where {
  static constexpr std::string_view name = "where";
  static Tensor forward(const Tensor& condition, const Tensor& a, const Tensor& b) {
    Tensor y = kernel::empty_like(kernel::leading(std::array{&a, &b, &condition}), a.dtype());
    dispatch_all(a.dtype(), [&]<class T>() {
      kernel::map_into<T, bool, T, T>([](bool c, T u, T v) { return c ? u : v; }, y, condition, a, b);
    });
    return y;
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0); }
  static Grads<3> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {Tensor(), need[1] ? apply(Mask{true}, saved[0], g) : Tensor(),
            need[2] ? apply(Mask{false}, saved[0], g) : Tensor()};
  }
};

// What the winner gets of the gradient: all where a > b, half on a tie.
struct Share {
  static constexpr std::string_view name = "share";
  static Tensor forward(const Tensor& g, const Tensor& a, const Tensor& b) {
    return kernel::map(
        name, [](auto gg, auto u, auto v) { return u > v    ? gg
                                                   : u == v ? gg / 2
                                                            : 0; }, g, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(1) | save_input(2); }
  static Grads<3> vjp(const Tensor& h, const Saved& saved, NeedsGrad need) {
    return {need[0] ? apply(Share{}, h, saved[1], saved[2]) : Tensor(), need[1] ? zeros_like(h) : Tensor(),
            need[2] ? zeros_like(h) : Tensor()};
  }
};

struct Maximum {
  static constexpr std::string_view name = "maximum";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map_numeric(
        name, [](auto u, auto v) { return u > v || u != u ? u : v; }, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_input(1); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? apply(Share{}, g, saved[0], saved[1]) : Tensor(),
            need[1] ? apply(Share{}, g, saved[1], saved[0]) : Tensor()};
  }
};

struct Minimum {
  static constexpr std::string_view name = "minimum";
  static Tensor forward(const Tensor& a, const Tensor& b) {
    return kernel::map_numeric(
        name, [](auto u, auto v) { return u < v || u != u ? u : v; }, a, b);
  }
  static SaveForBackward save_for_backward(NeedsGrad) { return save_input(0) | save_input(1); }
  static Grads<2> vjp(const Tensor& g, const Saved& saved, NeedsGrad need) {
    return {need[0] ? apply(Share{}, g, saved[1], saved[0]) : Tensor(),
            need[1] ? apply(Share{}, g, saved[0], saved[1]) : Tensor()};
  }
};

struct Clip : detail::SavesInput {
  static constexpr std::string_view name = "clip";
  double low, high;
  auto forward(auto x) const {
    return x < detail::constant_like(x, low)    ? detail::constant_like(x, low)
           : x > detail::constant_like(x, high) ? detail::constant_like(x, high)
                                                : x;
  }
  auto vjp(auto g, auto x) const {
    return x >= detail::constant_like(x, low) && x <= detail::constant_like(x, high) ? g : 0;
  }
};

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  detail::check_defined("where", "condition", condition);
  if (condition.dtype() != DType::boolean) {
    throw DtypeError(Message("where", "the condition is not a bool tensor.")
                         .line("condition {} {}", name_of(condition.dtype()), condition.shape())
                         .expected("bool")
                         .got("{}", name_of(condition.dtype()))
                         .fix("compare first, as in where(x != 0, a, b)"));
  }
  detail::check_same_dtype("where", a, b);
  const Shape shape = broadcast_shapes(condition.shape(), broadcast_shapes(a.shape(), b.shape(), "where"), "where");
  return apply(Where{}, detail::expanded(condition, shape), detail::expanded(a, shape), detail::expanded(b, shape));
}

Tensor maximum(const Tensor& a, const Tensor& b) { return detail::apply_broadcast(Maximum{}, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return detail::apply_broadcast(Minimum{}, a, b); }

Tensor clip(const Tensor& x, double low, double high) {
  detail::check_ordered("clip", "low <= high", low, high);
  return detail::apply_unary(Clip{{}, low, high}, x);
}

}  // namespace dygrad
