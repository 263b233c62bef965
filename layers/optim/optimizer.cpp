#include <dygrad/layers/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/layers/optim/gradient_norm.h>

namespace dygrad {

namespace {

bool is_dense(const Tensor& x) { return x.is_contiguous() || x.is_contiguous(MemoryFormat::channels_last); }

bool has_order_of(const Tensor& x, const Tensor& other) {
  return x.strides() == other.strides() || (x.is_contiguous() && other.is_contiguous()) ||
         (x.is_contiguous(MemoryFormat::channels_last) && other.is_contiguous(MemoryFormat::channels_last));
}

Tensor in_order_of(const Tensor& x, const Tensor& dense) {
  if (has_order_of(x, dense)) return x;
  const Tensor copy = raw::empty_like(dense, x.dtype());
  raw::copy(x, copy);
  return copy;
}

}  // namespace

/// A parameter to be updated, in dense memory.
struct Optimizer::Ready {
  std::size_t index;
  Tensor value;  // the parameter itself, or a copy of one with gaps
  Tensor grad;
  GradientRule rule{};
};

Optimizer::Optimizer(std::string name, std::vector<Parameter> parameters, Settings settings,
                     std::vector<Accumulator> accumulators)
    : name_(std::move(name)),
      parameters_(std::move(parameters)),
      settings_(std::move(settings)),
      accumulators_(std::move(accumulators)),
      slots_(parameters_.size()) {
  if (parameters_.empty()) {
    throw InvalidArgument(Message(name_, "there are no parameters to update.").fix("pass model.parameters()"));
  }
  std::unordered_set<const TensorImpl*> seen;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].defined()) throw InvalidArgument(Message(name_, fmt::format("parameter {} is undefined.", i)));
    if (!seen.insert(parameters_[i].impl()).second) {
      throw InvalidArgument(Message(name_, fmt::format("parameter \"{}\" is listed twice.", parameters_[i].name())));
    }
  }
}

Optimizer::~Optimizer() = default;

std::vector<Optimizer::Ready> Optimizer::gather() const {
  std::vector<Ready> ready;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    if (!parameter.trainable()) continue;
    const Tensor grad = parameter.grad();
    if (!grad.defined()) continue;
    const Tensor value = is_dense(parameter) ? static_cast<const Tensor&>(parameter) : raw::clone(parameter);
    ready.push_back({.index = i, .value = value, .grad = in_order_of(grad, value)});
    const Regularizer own = parameter.regularizer();
    const Regularizer decay = own ? own : settings_.regularization;
    if (decay.kind() == Regularizer::Kind::l1) ready.back().rule.l1 = decay.coefficient();
    if (decay.kind() == Regularizer::Kind::l2) ready.back().rule.l2 = decay.coefficient();
  }
  return ready;
}

void Optimizer::apply_clip(std::vector<Ready>& ready) const {
  const auto clipped = [&](const Ready& one) { return parameters_[one.index].need_clip(); };
  const GradientClip& clip = settings_.grad_clip;
  if (const auto* by_value = clip.by_value()) {
    for (Ready& one : ready) {
      if (!clipped(one)) continue;
      one.rule.clamp = true;
      one.rule.high = by_value->max;
      one.rule.low = by_value->min.value_or(-by_value->max);
    }
  } else if (const auto* by_norm = clip.by_norm()) {
    for (Ready& one : ready) {
      if (!clipped(one)) continue;
      one.rule.scale = detail::clip_factor({&one.grad, 1}, by_norm->clip_norm);
    }
  } else if (const auto* by_global_norm = clip.by_global_norm()) {
    std::vector<Tensor> together;
    for (const Ready& one : ready) {
      if (clipped(one)) together.push_back(one.grad);
    }
    const double scale = detail::clip_factor(together, by_global_norm->clip_norm);
    for (Ready& one : ready) one.rule.scale = clipped(one) ? scale : 1;
  }
}

std::vector<Tensor> Optimizer::make_accumulators(const Parameter& parameter) const {
  std::vector<Tensor> made;
  for (const Accumulator& accumulator : accumulators_) {
    made.push_back(raw::empty_like(parameter, parameter.dtype()));
    raw::fill(made.back(), accumulator.initial_value);
  }
  return made;
}

void Optimizer::update_one(const Ready& ready) {
  const Parameter& parameter = parameters_[ready.index];
  Slot& slot = slots_[ready.index];
  if (slot.step == 0) slot.accumulators = make_accumulators(parameter);
  ++slot.step;
  update({.parameter = parameter,
          .value = ready.value,
          .grad = ready.grad,
          .accumulators = slot.accumulators,
          .rule = ready.rule,
          .lr = get_lr() * parameter.learning_rate(),
          .step = slot.step});
  if (!ready.value.is_same(parameter)) raw::copy(ready.value, parameter);
  parameter.impl()->storage->bump_version();
}

void Optimizer::step() {
  std::vector<Ready> ready = gather();
  apply_clip(ready);
  for (const Ready& one : ready) update_one(one);
  ++global_step_;
  Schedule* schedule = settings_.learning_rate.schedule();
  if (settings_.advance_schedule && schedule && !schedule->is_per_epoch()) schedule->step();
}

std::vector<ParameterGradient> Optimizer::minimize(const Tensor& loss) {
  if (!loss.defined()) throw InvalidArgument(Message(name_, "minimize needs a loss; this tensor is undefined."));
  std::vector<ParameterGradient> updated;
  for (const Ready& one : gather()) updated.push_back({parameters_[one.index], parameters_[one.index].grad()});
  step();
  return updated;
}

void Optimizer::clear_gradients(bool set_to_zero) {
  for (Parameter& parameter : parameters_) {
    if (parameter.trainable()) parameter.clear_gradient(set_to_zero);
  }
}

void Optimizer::set_lr(double value) {
  if (settings_.learning_rate.schedule()) {
    throw InvalidArgument(Message(name_, "a schedule drives the learning rate.").fix("change the schedule instead"));
  }
  settings_.learning_rate.set_value(value);
}

}  // namespace dygrad
