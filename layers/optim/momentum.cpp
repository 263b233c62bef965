#include <dygrad/layers/optim/momentum.h>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/optim/detail/update.h>
#include <dygrad/layers/support/option_range.h>

namespace dygrad {

Momentum::Momentum(std::vector<Parameter> parameters) : Momentum(std::move(parameters), Options{}) {}

Momentum::Momentum(std::vector<Parameter> parameters, Options o) try
    : Optimizer("Momentum", std::move(parameters), {o.learning_rate, o.regularization, o.grad_clip, o.advance_schedule},
                {{.name = "velocity"}}),
      momentum_(o.momentum),
      use_nesterov_(o.use_nesterov) {
  detail::require_option("Momentum", momentum_ >= 0 && momentum_ <= 1, "0 <= momentum <= 1", "momentum", momentum_);
} catch (const std::bad_alloc&) {
  detail::fail_out_of_memory("Momentum");
}

void Momentum::update(const OptimizerUpdate& u) {
  dispatch_float(u.value.dtype(), "Momentum", [&]<class T>() {
    const T lr = static_cast<T>(u.lr), mu = static_cast<T>(momentum_);
    T* const velocity = u.accumulators[0].mutable_data<T>();
    if (use_nesterov_) {
      detail::update_elements<T>(
          u.value, u.grad, u.rule,
          [=](T p, T g, T& v) {
            v = mu * v + g;
            return p - lr * (g + mu * v);
          },
          velocity);
    } else {
      detail::update_elements<T>(
          u.value, u.grad, u.rule,
          [=](T p, T g, T& v) {
            v = mu * v + g;
            return p - lr * v;
          },
          velocity);
    }
  });
}

}  // namespace dygrad
