// Comparisons and logic: bool results, never recorded.
#include <cmath>
#include <functional>

#include <dygrad/autograd/apply.h>
#include <dygrad/autograd/ops/elementwise/detail/broadcast.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/tensor/view.h>

namespace dygrad {

namespace {

struct Operands {
  Tensor a, b;
};

Operands broadcast_values(std::string_view op, const Tensor& a, const Tensor& b) {
  detail::check_same_dtype(op, a, b);
  if (a.shape() == b.shape()) return {a, b};
  const Shape shape = broadcast_shapes(a.shape(), b.shape(), op);
  return {view::expand(a, shape), view::expand(b, shape)};
}

template <class Compare>
Tensor compare(std::string_view op, Compare compare_values, const Tensor& a, const Tensor& b) {
  const Operands operands = broadcast_values(op, a, b);
  return kernel::map_to_bool(compare_values, operands.a, operands.b);
}

// Floating-point tensors compare in their own precision, so that full({}, 0.1) == 0.1 also for float32; whole-number
// tensors in double, so that x < 2.5 means what it says.
template <class Compare>
Tensor compare(std::string_view op, Compare compare_values, const Tensor& a, double b) {
  detail::check_defined(op, "a", a);
  return kernel::map_to_bool(
      [=]<class T>(T v) {
        using Common = std::conditional_t<std::is_floating_point_v<T>, T, double>;
        return compare_values(static_cast<Common>(v), static_cast<Common>(b));
      },
      a);
}

void check_bool(std::string_view op, const Tensor& x) {
  detail::check_defined(op, "x", x);
  if (x.dtype() == DType::boolean) return;
  throw DtypeError(Message(op, "the operand is not a bool tensor.")
                       .line("x {} {}", name_of(x.dtype()), x.shape())
                       .expected("bool")
                       .got("{}", name_of(x.dtype()))
                       .fix("compare first, as in x != 0"));
}

template <class F>
Tensor logical(std::string_view op, F f, const Tensor& a, const Tensor& b) {
  check_bool(op, a);
  check_bool(op, b);
  const Operands operands = broadcast_values(op, a, b);
  return kernel::detail::map_same<bool, bool>(f, operands.a, operands.b);
}

}  // namespace

Tensor equal(const Tensor& a, const Tensor& b) { return compare("equal", std::equal_to<>(), a, b); }
Tensor not_equal(const Tensor& a, const Tensor& b) { return compare("not_equal", std::not_equal_to<>(), a, b); }
Tensor less(const Tensor& a, const Tensor& b) { return compare("less", std::less<>(), a, b); }
Tensor less_equal(const Tensor& a, const Tensor& b) { return compare("less_equal", std::less_equal<>(), a, b); }
Tensor greater(const Tensor& a, const Tensor& b) { return compare("greater", std::greater<>(), a, b); }
Tensor greater_equal(const Tensor& a, const Tensor& b) {
  return compare("greater_equal", std::greater_equal<>(), a, b);
}

Tensor operator==(const Tensor& a, double b) { return compare("equal", std::equal_to<>(), a, b); }
Tensor operator!=(const Tensor& a, double b) { return compare("not_equal", std::not_equal_to<>(), a, b); }
Tensor operator<(const Tensor& a, double b) { return compare("less", std::less<>(), a, b); }
Tensor operator<=(const Tensor& a, double b) { return compare("less_equal", std::less_equal<>(), a, b); }
Tensor operator>(const Tensor& a, double b) { return compare("greater", std::greater<>(), a, b); }
Tensor operator>=(const Tensor& a, double b) { return compare("greater_equal", std::greater_equal<>(), a, b); }

Tensor logical_and(const Tensor& a, const Tensor& b) { return logical("logical_and", std::logical_and<>(), a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return logical("logical_or", std::logical_or<>(), a, b); }
Tensor logical_not(const Tensor& x) {
  check_bool("logical_not", x);
  return kernel::detail::map_same<bool, bool>(std::logical_not<>(), x);
}

Tensor isnan(const Tensor& x) {
  detail::check_defined("isnan", "x", x);
  return kernel::map_to_bool([](auto v) { return v != v; }, x);
}

Tensor isfinite(const Tensor& x) {
  detail::check_defined("isfinite", "x", x);
  return kernel::map_to_bool(
      []<class T>(T v) {
        if constexpr (std::is_floating_point_v<T>) return std::isfinite(v);
        else return true;
      },
      x);
}

}  // namespace dygrad
