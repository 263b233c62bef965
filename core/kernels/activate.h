// Fused activations, elementwise and in place: one definition for ops and for kernels.
#pragma once

#include <dygrad/core/base/fused_activation.h>
#include <dygrad/core/simd/vector_math.h>
#include <dygrad/core/tensor/tensor.h>

namespace dygrad::kernel {

struct Identity {
  static auto forward(auto x) { return x; }
};
struct Relu {
  static auto forward(auto x) { return x <= 0 ? 0 : x; }
};
struct LeakyRelu {
  double alpha;
  auto forward(auto x) const { return x > 0 ? x : static_cast<decltype(x)>(alpha) * x; }
};
struct Sigmoid {
  static auto forward(auto x) { return vec::sigmoid(x); }
};
struct Tanh {
  static auto forward(auto x) { return vec::tanh(x); }
};

/// Calls f with the function of that kind: f(Relu{}).
template <class F>
decltype(auto) with_values(const FusedActivation& activation, const F& f) {
  switch (activation.kind) {
    case FusedActivation::Kind::relu: return f(Relu{});
    case FusedActivation::Kind::leaky_relu:
      return activation.alpha == 0 ? f(Relu{}) : f(LeakyRelu{activation.alpha});  // 0 times -infinity is none of them
    case FusedActivation::Kind::sigmoid: return f(Sigmoid{});
    case FusedActivation::Kind::tanh: return f(Tanh{});
    case FusedActivation::Kind::none: break;
  }
  return f(Identity{});
}

/// rows[r][i] = activation(rows[r][i]) for i in [0, count), on the calling thread. T is float or double.
template <class T>
void activate(const FusedActivation& activation, T* const* rows, std::int64_t num_rows, std::int64_t count);
/// The same for one row y.
template <class T>
void activate(const FusedActivation& activation, T* y, std::int64_t count) {
  activate(activation, &y, 1, count);
}
/// The same for all elements of a dense tensor, in one pass on all threads.
void activate(const FusedActivation& activation, const Tensor& y);

}  // namespace dygrad::kernel
