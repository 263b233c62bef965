// Initializers that draw each element on its own, and the constant. A seed of 0 draws from default_generator(), so
// that equal parameters differ; any other seed starts a stream of its own, the same at every use.
#pragma once

#include <cstdint>

#include <dygrad/core/tensor/tensor.h>

namespace dygrad {

/// Every element `value`. Throws InvalidArgument unless it is finite in the parameter's dtype.
struct DYGRAD_API Constant {
  double value = 0;
  void operator()(Tensor& parameter) const;
};

/// Uniformly distributed in [low, high). Throws InvalidArgument unless low <= high, and both and their distance are
/// finite in the parameter's dtype.
struct DYGRAD_API Uniform {
  double low = -1;
  double high = 1;
  std::uint64_t seed = 0;
  void operator()(Tensor& parameter) const;
};

/// Normal with mean `loc` and standard deviation `scale`. Throws InvalidArgument if scale < 0, or one of them is not
/// finite in the parameter's dtype.
struct DYGRAD_API Normal {
  double loc = 0;
  double scale = 1;
  std::uint64_t seed = 0;
  void operator()(Tensor& parameter) const;
};

/// Normal, drawn again until within two standard deviations of the mean. Throws as Normal.
struct DYGRAD_API TruncatedNormal {
  double loc = 0;
  double scale = 1;
  std::uint64_t seed = 0;
  void operator()(Tensor& parameter) const;
};

}  // namespace dygrad
