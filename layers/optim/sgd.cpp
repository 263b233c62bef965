#include <dygrad/layers/optim/sgd.h>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/optim/detail/update.h>

namespace dygrad {

SGD::SGD(std::vector<Parameter> parameters) : SGD(std::move(parameters), Options{}) {}

SGD::SGD(std::vector<Parameter> parameters, Options o) try
    : Optimizer("SGD", std::move(parameters), {o.learning_rate, o.regularization, o.grad_clip, o.advance_schedule},
                {}) {
} catch (const std::bad_alloc&) {
  detail::fail_out_of_memory("SGD");
}

void SGD::update(const OptimizerUpdate& u) {
  dispatch_float(u.value.dtype(), "SGD", [&]<class T>() {
    const T lr = static_cast<T>(u.lr);
    detail::update_elements<T>(u.value, u.grad, u.rule, [=](T p, T g) { return p - lr * g; });
  });
}

}  // namespace dygrad
