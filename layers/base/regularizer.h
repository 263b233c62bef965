// Weight decay added to gradients. A parameter's own regularizer beats the optimizer's.
#pragma once

#include <cstdint>

#include <dygrad/core/base/export.h>

namespace dygrad {

namespace detail {
[[noreturn]] DYGRAD_API void fail_decay(double coefficient);

constexpr double checked_decay(double coefficient) {
  if (!(coefficient >= 0 && coefficient - coefficient == 0)) fail_decay(coefficient);  // infinity less itself is NaN
  return coefficient;
}
}  // namespace detail

/// g += coefficient * sign(p), with sign(0) = 0.
struct L1Decay {
  double coefficient = 0;
};

/// g += coefficient * p; no factor 1/2.
struct L2Decay {
  double coefficient = 0;
};

/// L1Decay, L2Decay or none. Throws InvalidArgument if the coefficient is negative or not finite; parameters and
/// optimizers that are given one do if it is not finite in the parameter's dtype.
class Regularizer {
 public:
  enum class Kind : std::uint8_t { none, l1, l2 };

  constexpr Regularizer() = default;
  constexpr Regularizer(L1Decay decay) : kind_(Kind::l1), coefficient_(detail::checked_decay(decay.coefficient)) {}
  constexpr Regularizer(L2Decay decay) : kind_(Kind::l2), coefficient_(detail::checked_decay(decay.coefficient)) {}

  constexpr Kind kind() const { return kind_; }
  constexpr double coefficient() const { return coefficient_; }
  constexpr explicit operator bool() const { return kind_ != Kind::none; }

 private:
  Kind kind_ = Kind::none;
  double coefficient_ = 0;
};

}  // namespace dygrad
