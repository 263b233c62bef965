// The activations that ops and kernels may end in, where these are folded into what comes before. Everybody uses it.
#pragma once

#include <cstdint>

namespace dygrad {

/// An elementwise function whose derivative follows from its output, so that an op that ends in it keeps no more than
/// that. See the functions of the same names in autograd/ops.
struct FusedActivation {
  enum class Kind : std::uint8_t { none, relu, leaky_relu, sigmoid, tanh };
  Kind kind = Kind::none;
  double alpha = 0;  ///< slope of leaky_relu below 0; not negative, finite

  explicit operator bool() const { return kind != Kind::none; }
  bool operator==(const FusedActivation&) const = default;
};

}  // namespace dygrad
