// The loop of all update rules: one pass over a parameter's memory, its gradient's and its accumulators'.
#pragma once

#include <dygrad/core/base/parallel.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/simd/vectorize.h>
#include <dygrad/layers/optim/optimizer.h>

namespace dygrad::detail {

/// The gradient as rules see it; identity if there is nothing to clip and no decay.
template <class T>
struct EffectiveGradient {
  explicit EffectiveGradient(const GradientRule& rule)
      : scale(static_cast<T>(rule.scale)),
        low(static_cast<T>(rule.low)),
        high(static_cast<T>(rule.high)),
        l1(static_cast<T>(rule.l1)),
        l2(static_cast<T>(rule.l2)),
        clamp(rule.clamp) {}

  T operator()(T g, T p) const {
    g *= scale;
    if (clamp) g = g < low ? low : (g > high ? high : g);
    if (l1 != 0) g += p > 0 ? l1 : (p < 0 ? -l1 : T{0});
    if (l2 != 0) g += l2 * p;
    return g;
  }

  T scale, low, high, l1, l2;
  bool clamp;
};

/// value[i] = rule(value[i], g, state[i]...) with g the effective gradient; rule takes states by reference and changes
/// them. All arrays are distinct, dense and in one order.
template <class T, class Rule, class... States>
void update_elements(const Tensor& value, const Tensor& grad, const GradientRule& gradient_rule, const Rule& rule,
                     States*... states) {
  T* const p = value.mutable_data<T>();
  const T* const g = grad.data<T>();
  const auto run = [&](const auto& effective) {
    parallel_for(value.num_elements(), kernel::kElementwiseGrain, [&](std::int64_t begin, std::int64_t end) {
      DYGRAD_IVDEP
      for (std::int64_t i = begin; i < end; ++i) p[i] = rule(p[i], effective(g[i], p[i]), states[i]...);
    });
  };
  const bool plain = gradient_rule.scale == 1 && !gradient_rule.clamp && gradient_rule.l1 == 0 && gradient_rule.l2 == 0;
  if (plain) run([](T raw_gradient, T) { return raw_gradient; });
  else run(EffectiveGradient<T>(gradient_rule));
}

}  // namespace dygrad::detail
