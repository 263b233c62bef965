// Initializers whose spread follows from the number of terms an element takes part in.
#pragma once

#include <cstdint>
#include <optional>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Terms that enter one output (in), and outputs that one input enters (out).
struct Fans {
  double in = 0;
  double out = 0;
};

/// Paddle's rule. Rank 2: in = dim 0, out = dim 1. Rank 3 and more, with r = product of the dims from 2 on:
/// in = dim 1 * r, out = dim 0 * r. Rank 1: both its size. It reads every weight as Conv2D's, so for Conv2DTranspose
/// in = O/groups * kh * kw and out = C * kh * kw, although an output pixel sums about C/groups * kh * kw / (sh * sw)
/// terms: harmless for Xavier, which is symmetric; for MSRA give `fan_in` where that matters.
DYGRAD_API Fans fans_of(const Shape& shape);

/// Uniform within +-sqrt(6 / (in + out)), or normal with deviation sqrt(2 / (in + out)). Given fans replace fans_of's.
/// Throws InvalidArgument for a given fan below 0.
/// Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
struct DYGRAD_API Xavier {
  bool uniform = true;
  std::optional<double> fan_in{};
  std::optional<double> fan_out{};
  std::uint64_t seed = 0;  ///< 0: default_generator()
  void operator()(Tensor& parameter) const;
};

/// Uniform within +-sqrt(6 / in), or normal with deviation sqrt(2 / in). Errors as Xavier.
/// Source: He et al., "Delving deep into rectifiers", 2015.
struct DYGRAD_API MSRA {
  bool uniform = true;
  std::optional<double> fan_in{};
  std::uint64_t seed = 0;  ///< 0: default_generator()
  void operator()(Tensor& parameter) const;
};

}  // namespace dygrad
