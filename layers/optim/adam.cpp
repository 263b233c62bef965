#include <dygrad/layers/optim/adam.h>

#include <cmath>

#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/optim/detail/update.h>
#include <dygrad/layers/support/number_range.h>
#include <dygrad/layers/support/option_range.h>

namespace dygrad {

namespace detail {

AdamRule::AdamRule(const char* op, double beta1, double beta2, double epsilon, AdamEpsilon epsilon_form,
                   const std::vector<Parameter>& parameters)
    : beta1_(beta1), beta2_(beta2), epsilon_(epsilon), epsilon_form_(epsilon_form) {
  require_option(op, beta1 >= 0 && beta1 < 1, "0 <= beta1 < 1", "beta1", beta1);
  require_option(op, beta2 >= 0 && beta2 < 1, "0 <= beta2 < 1", "beta2", beta2);
  require_option(op, epsilon > 0 && std::isfinite(epsilon), "epsilon > 0, finite", "epsilon", epsilon);
  for (const Parameter& parameter : parameters) {
    if (is_positive_as(parameter.dtype(), epsilon)) continue;
    throw InvalidArgument(Message(op, "epsilon is zero or infinite in a parameter's dtype.")
                              .line("parameter \"{}\" {}", parameter.name(), parameter.dtype())
                              .expected("epsilon > 0, finite, as {}", parameter.dtype())
                              .got("epsilon = {}", epsilon)
                              .fix("use an epsilon such as 1e-8"));
  }
}

void AdamRule::operator()(const OptimizerUpdate& u) const {
  const double correction1 = 1 - std::pow(beta1_, static_cast<double>(u.step));
  const double root_correction2 = std::sqrt(1 - std::pow(beta2_, static_cast<double>(u.step)));
  // With the corrections moved to constants, both forms are rate m / (root sqrt(v) + epsilon).
  const bool corrected = epsilon_form_ == AdamEpsilon::corrected;
  const double rate_factor = (corrected ? u.lr : u.lr * root_correction2) / correction1;
  const double root_factor = corrected ? 1 / root_correction2 : 1;
  dispatch_float(u.value.dtype(), "Adam", [&]<class T>() {
    const T b1 = static_cast<T>(beta1_), c1 = static_cast<T>(1 - beta1_);
    const T b2 = static_cast<T>(beta2_), c2 = static_cast<T>(1 - beta2_);
    const T rate = static_cast<T>(rate_factor), root = static_cast<T>(root_factor);
    const T epsilon = static_cast<T>(epsilon_), keep = static_cast<T>(u.keep);
    update_elements<T>(
        u.value, u.grad, u.rule,
        [=](T p, T g, T& m, T& v) {
          m = b1 * m + c1 * g;
          v = b2 * v + c2 * g * g;
          return keep * p - rate * m / (root * std::sqrt(v) + epsilon);
        },
        u.accumulators[0].mutable_data<T>(), u.accumulators[1].mutable_data<T>());
  });
}

}  // namespace detail

Adam::Adam(std::vector<Parameter> parameters) : Adam(std::move(parameters), Options{}) {}

Adam::Adam(std::vector<Parameter> parameters, Options o) try
    : Optimizer("Adam", std::move(parameters), {o.learning_rate, o.regularization, o.grad_clip, o.advance_schedule},
                {{.name = "moment1"}, {.name = "moment2", .not_negative = true}}),
      rule_("Adam", o.beta1, o.beta2, o.epsilon, o.epsilon_form, this->parameters()) {
} catch (const std::bad_alloc&) {
  detail::fail_out_of_memory("Adam");
}

void Adam::update(const OptimizerUpdate& u) { rule_(u); }

AdamW::AdamW(std::vector<Parameter> parameters) : AdamW(std::move(parameters), Options{}) {}

AdamW::AdamW(std::vector<Parameter> parameters, Options o) try
    : Optimizer("AdamW", std::move(parameters), {o.learning_rate, {}, o.grad_clip, o.advance_schedule},
                {{.name = "moment1"}, {.name = "moment2", .not_negative = true}}),
      rule_("AdamW", o.beta1, o.beta2, o.epsilon, o.epsilon_form, this->parameters()),
      weight_decay_(o.weight_decay),
      decays_(std::move(o.apply_decay_param_fun)) {
  detail::require_option("AdamW", detail::is_rate(weight_decay_), "weight_decay >= 0, finite", "weight_decay",
                         weight_decay_);
} catch (const std::bad_alloc&) {
  detail::fail_out_of_memory("AdamW");
}

void AdamW::update(const OptimizerUpdate& u) { rule_(u); }

double AdamW::decoupled_decay(const Parameter& parameter) const {
  if (!decays_) return weight_decay_;
  return detail::call_user([&] { return decays_(parameter.name()); }) ? weight_decay_ : 0;
}

}  // namespace dygrad
