// Weight decay added to gradients. A parameter's own regularizer beats the optimizer's.
#pragma once

#include <cstdint>

namespace dygrad {

/// g += coefficient * sign(p), with sign(0) = 0.
struct L1Decay {
  double coefficient = 0;
};

/// g += coefficient * p; no factor 1/2.
struct L2Decay {
  double coefficient = 0;
};

/// L1Decay, L2Decay or none.
class Regularizer {
 public:
  enum class Kind : std::uint8_t { none, l1, l2 };

  constexpr Regularizer() = default;
  constexpr Regularizer(L1Decay decay) : kind_(Kind::l1), coefficient_(decay.coefficient) {}
  constexpr Regularizer(L2Decay decay) : kind_(Kind::l2), coefficient_(decay.coefficient) {}

  constexpr Kind kind() const { return kind_; }
  constexpr double coefficient() const { return coefficient_; }
  constexpr explicit operator bool() const { return kind_ != Kind::none; }

 private:
  Kind kind_ = Kind::none;
  double coefficient_ = 0;
};

}  // namespace dygrad
