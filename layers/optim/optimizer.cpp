#include <dygrad/layers/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/core/out_of_memory.h>
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

bool is_finite_as(DType dtype, double value) {
  return dispatch_float(dtype, "learning_rate", [&]<class T>() { return std::isfinite(static_cast<T>(value)); });
}

}  // namespace

/// A parameter to be updated, in dense memory, with all that its update needs.
struct detail::PendingUpdate {
  std::size_t index;
  Tensor value;  // the parameter itself, or a copy of one with gaps
  Tensor grad;
  GradientRule rule{};
  double lr = 0;
  double keep = 1;
  std::vector<Tensor> first_accumulators{};  // for a parameter without
};

using detail::PendingUpdate;

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
    if (!parameters_[i].defined())
      throw InvalidArgument(Message(name_, fmt::format("parameter {} is undefined.", i))
                                .fix("leave it out: a layer without bias has no bias to update"));
    if (!seen.insert(parameters_[i].impl()).second) {
      throw InvalidArgument(Message(name_, fmt::format("parameter \"{}\" is listed twice.", parameters_[i].name()))
                                .fix("list each parameter once, also where layers share it"));
    }
  }
}

Optimizer::~Optimizer() = default;

std::vector<PendingUpdate> Optimizer::prepare() const {
  std::vector<PendingUpdate> pending;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    if (!parameter.trainable()) continue;
    const Tensor grad = parameter.grad();
    if (!grad.defined()) continue;
    const Tensor value = is_dense(parameter) ? static_cast<const Tensor&>(parameter) : raw::clone(parameter);
    pending.push_back({.index = i, .value = value, .grad = in_order_of(grad, value)});
    if (slots_[i].step == 0) pending.back().first_accumulators = make_accumulators(parameter);
    const Regularizer own = parameter.regularizer();
    const Regularizer decay = own ? own : settings_.regularization;
    if (decay.kind() == Regularizer::Kind::l1) pending.back().rule.l1 = decay.coefficient();
    if (decay.kind() == Regularizer::Kind::l2) pending.back().rule.l2 = decay.coefficient();
  }
  set_rates(pending);
  apply_clip(pending);
  return pending;
}

void Optimizer::set_rates(std::vector<PendingUpdate>& pending) const {
  const double lr = get_lr();
  for (PendingUpdate& one : pending) {
    const Parameter& parameter = parameters_[one.index];
    one.lr = lr * parameter.learning_rate();
    one.keep = 1 - one.lr * decoupled_decay(parameter);
    if (is_finite_as(parameter.dtype(), one.lr) && is_finite_as(parameter.dtype(), one.keep)) continue;
    throw InvalidArgument(Message(name_, "the learning rate is not finite in a parameter's dtype.")
                              .line("parameter \"{}\" {}", parameter.name(), parameter.dtype())
                              .expected("a finite rate times the parameter's factor")
                              .got("{} * {}", lr, parameter.learning_rate())
                              .fix("use a smaller rate or factor"));
  }
}

void Optimizer::apply_clip(std::vector<PendingUpdate>& ready) const {
  const auto clipped = [&](const PendingUpdate& one) { return parameters_[one.index].need_clip(); };
  const GradientClip& clip = settings_.grad_clip;
  if (const auto* by_value = clip.by_value()) {
    for (PendingUpdate& one : ready) {
      if (!clipped(one)) continue;
      one.rule.clamp = true;
      one.rule.high = by_value->max;
      one.rule.low = by_value->min.value_or(-by_value->max);
    }
  } else if (const auto* by_norm = clip.by_norm()) {
    for (PendingUpdate& one : ready) {
      if (!clipped(one)) continue;
      one.rule.scale = detail::clip_factor({&one.grad, 1}, by_norm->clip_norm);
    }
  } else if (const auto* by_global_norm = clip.by_global_norm()) {
    std::vector<Tensor> together;
    for (const PendingUpdate& one : ready) {
      if (clipped(one)) together.push_back(one.grad);
    }
    const double scale = detail::clip_factor(together, by_global_norm->clip_norm);
    for (PendingUpdate& one : ready) one.rule.scale = clipped(one) ? scale : 1;
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

void Optimizer::update_one(PendingUpdate& pending) {
  const Parameter& parameter = parameters_[pending.index];
  detail::OptimizerSlot& slot = slots_[pending.index];
  if (slot.step == 0) slot.accumulators = std::move(pending.first_accumulators);
  ++slot.step;
  update({.parameter = parameter,
          .value = pending.value,
          .grad = pending.grad,
          .accumulators = slot.accumulators,
          .rule = pending.rule,
          .lr = pending.lr,
          .step = slot.step,
          .keep = pending.keep});
  if (!pending.value.is_same(parameter)) raw::copy(pending.value, parameter);
  parameter.impl()->storage->bump_version();
}

// Note [All or nothing]
// prepare() does all that can fail: it asks for memory, calls what the user wrote and checks rates. The schedule moves
// first of what changes, as it may be the user's too. Nothing fails after that.
void Optimizer::commit(std::vector<PendingUpdate>& pending) {
  Schedule* schedule = settings_.learning_rate.schedule();
  if (settings_.advance_schedule && schedule && !schedule->is_per_epoch()) schedule->step();
  for (PendingUpdate& one : pending) update_one(one);
  ++global_step_;
}

void Optimizer::step() {
  detail::with_out_of_memory(name_, [&] {
    std::vector<PendingUpdate> pending = prepare();
    commit(pending);
  });
}

std::vector<ParameterGradient> Optimizer::minimize(const Tensor& loss) {
  if (!loss.defined())
    throw InvalidArgument(
        Message(name_, "minimize needs a loss; this tensor is undefined.").fix("pass the loss of this step"));
  return detail::with_out_of_memory(name_, [&] {
    std::vector<PendingUpdate> pending = prepare();
    std::vector<ParameterGradient> updated;
    for (const PendingUpdate& one : pending) updated.push_back({parameters_[one.index], parameters_[one.index].grad()});
    commit(pending);
    return updated;
  });
}

void Optimizer::clear_gradients(bool set_to_zero) {
  detail::with_out_of_memory(name_, [&] {
    std::vector<Tensor> zeros(parameters_.size());  // undefined ones drop the gradient
    for (std::size_t i = 0; set_to_zero && i < zeros.size(); ++i) {
      if (parameters_[i].trainable()) zeros[i] = zeros_like(parameters_[i]);
    }
    for (std::size_t i = 0; i < zeros.size(); ++i) {
      if (parameters_[i].trainable()) parameters_[i].set_grad(zeros[i]);
    }
  });
}

void Optimizer::set_lr(double value) {
  if (settings_.learning_rate.schedule()) {
    throw InvalidArgument(Message(name_, "a schedule drives the learning rate.").fix("change the schedule instead"));
  }
  settings_.learning_rate.set_value(value);
}

}  // namespace dygrad
