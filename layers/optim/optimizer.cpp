#include <dygrad/layers/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/kernels/elementwise.h>
#include <dygrad/core/simd/instruction_set.h>
#include <dygrad/layers/optim/detail/gradient_norm.h>
#include <dygrad/layers/support/memory_ranges.h>
#include <dygrad/layers/support/number_range.h>

namespace dygrad {

namespace {

bool has_order_of(const Tensor& x, const Tensor& other) {
  return x.strides() == other.strides() || (x.is_contiguous() && other.is_contiguous()) ||
         (x.is_contiguous(MemoryFormat::channels_last) && other.is_contiguous(MemoryFormat::channels_last));
}

/// A gradient in the order of the value that it changes; a copy also where it lies in memory that the step writes.
Tensor ready_gradient(const Tensor& x, const Tensor& dense, const detail::MemoryRanges& written) {
  if (has_order_of(x, dense) && !written.overlaps(x)) return x;
  const Tensor copy = kernel::empty_like(dense, x.dtype());
  kernel::copy(x, copy);
  return copy;
}

/// Throws InvalidArgument if a finite number is infinite in the parameter's dtype.
void check_in_dtype(const std::string& op, const Parameter& parameter, std::string_view what, double number) {
  if (!std::isfinite(number) || detail::is_finite_as(parameter.dtype(), number)) return;
  throw InvalidArgument(Message(op, "{} is infinite in a parameter's dtype.", what)
                            .line("parameter \"{}\" {}", parameter.name(), parameter.dtype())
                            .expected("a number that is finite as {}", parameter.dtype())
                            .got("{}", number)
                            .fix("use a smaller number, or float64"));
}

}  // namespace

/// A parameter to be updated, in dense memory, with all that its update needs.
struct detail::PendingUpdate {
  std::size_t index;
  Tensor value;  // the parameter itself, or room for a copy of one with gaps
  Tensor grad;
  GradientRule rule{};
  double lr = 0;
  double keep = 1;
  std::vector<Tensor> first_accumulators{};  // for a parameter without
};

using detail::PendingUpdate;

namespace {

bool is_normal_as(DType dtype, double value) {
  return dispatch_float(dtype, "optimizer", [&]<class T>() { return std::isnormal(static_cast<T>(value)); });
}

/// A factor that the dtype would round, as only huge gradients have, is split: a copy of the gradient takes a power of
/// two, so large that what comes of it has all its digits, and the rule takes the rest.
void scale_gradient(PendingUpdate& one, detail::ClipFactor factor) {
  one.rule.scale = std::ldexp(factor.factor, factor.exponent);
  if (is_normal_as(one.grad.dtype(), one.rule.scale) || !std::isnormal(factor.factor)) return;
  constexpr int kRest = 100;  // well within the exponents of float32
  const int exponent = std::ilogb(factor.factor) + factor.exponent + kRest;
  one.grad = kernel::map(
      "optimizer", [exponent](auto g) { return std::ldexp(g, exponent); }, one.grad);
  one.rule.scale = std::ldexp(factor.factor, factor.exponent - exponent);
}

}  // namespace

Optimizer::Optimizer(std::string name, std::vector<Parameter> parameters, Settings settings,
                     std::vector<Accumulator> accumulators) try
    : name_(std::move(name)),
      parameters_(std::move(parameters)),
      settings_(std::move(settings)),
      accumulators_(std::move(accumulators)),
      slots_(parameters_.size()) {
  if (parameters_.empty()) {
    throw InvalidArgument(
        Message(name_, "there are no parameters to update.")
            .fix("pass model.parameters(); a model of your own registers its layers and parameters in "
                 "its constructor, by register_layer and register_parameter"));
  }
  std::unordered_set<const TensorImpl*> seen;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].defined())
      throw InvalidArgument(Message(name_, "parameter {} is undefined.", i)
                                .fix("leave it out: a layer without bias has no bias to update"));
    if (!seen.insert(parameters_[i].impl()).second) {
      throw InvalidArgument(Message(name_, "parameter \"{}\" is listed twice.", parameters_[i].name())
                                .fix("list each parameter once, also where layers share it"));
    }
    check_in_dtype(name_, parameters_[i], "the regularizer's coefficient", settings_.regularization.coefficient());
    if (const GradientClipByValue* clip = settings_.grad_clip.by_value()) {
      check_in_dtype(name_, parameters_[i], "the upper limit of grad_clip", clip->max);
      check_in_dtype(name_, parameters_[i], "the lower limit of grad_clip", clip->min.value_or(-clip->max));
    }
  }
} catch (const std::bad_alloc&) {
  detail::fail_out_of_memory("Optimizer");
}

Optimizer::~Optimizer() = default;

/// What a step may write: parameters, and accumulators, whose handles state_dict() gives away.
detail::MemoryRanges Optimizer::written_memory() const {
  detail::MemoryRanges written;
  for (const Parameter& parameter : parameters_) written.add(parameter);
  for (const detail::OptimizerSlot& slot : slots_) {
    for (const Tensor& accumulator : slot.accumulators) written.add(accumulator);
  }
  written.sort();
  return written;
}

void Optimizer::check_count(std::int64_t steps) const {
  if (steps < detail::kMaxSteps) return;
  throw InvalidArgument(Message(name_, "the count of steps would leave its range.")
                            .expected("at most {} steps, which its state holds exactly", detail::kMaxSteps)
                            .got("{} + 1", steps)
                            .fix("load a state with a smaller count, or use a new optimizer"));
}

std::vector<PendingUpdate> Optimizer::prepare() const {
  check_count(global_step_);
  (void)kernel::instruction_set();  // throws where its variable has an unknown value, and update() must not
  const detail::MemoryRanges written = written_memory();
  std::vector<PendingUpdate> pending;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    if (!parameter.trainable()) continue;
    const Tensor grad = parameter.grad();
    if (!grad.defined()) continue;
    check_count(slots_[i].step);
    const Tensor value = parameter.memory_format() ? static_cast<const Tensor&>(parameter)
                                                   : kernel::empty_like(parameter, parameter.dtype());
    pending.push_back({.index = i, .value = value, .grad = ready_gradient(grad, value, written)});
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
    if (detail::is_finite_as(parameter.dtype(), one.lr) && detail::is_finite_as(parameter.dtype(), one.keep)) continue;
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
      scale_gradient(one, detail::clip_factor({&one.grad, 1}, by_norm->clip_norm));
    }
  } else if (const auto* by_global_norm = clip.by_global_norm()) {
    std::vector<Tensor> together;
    for (const PendingUpdate& one : ready) {
      if (clipped(one)) together.push_back(one.grad);
    }
    const detail::ClipFactor factor = detail::clip_factor(together, by_global_norm->clip_norm);
    for (PendingUpdate& one : ready) {
      if (clipped(one)) scale_gradient(one, factor);
    }
  }
}

std::vector<Tensor> Optimizer::make_accumulators(const Parameter& parameter) const {
  std::vector<Tensor> made;
  for (const Accumulator& accumulator : accumulators_) {
    made.push_back(kernel::empty_like(parameter, parameter.dtype()));
    kernel::fill(made.back(), accumulator.initial_value);
  }
  return made;
}

void Optimizer::update_one(PendingUpdate& pending) {
  const Parameter& parameter = parameters_[pending.index];
  detail::OptimizerSlot& slot = slots_[pending.index];
  if (slot.step == 0) slot.accumulators = std::move(pending.first_accumulators);
  ++slot.step;
  // Only now, as the parameters before this one may lie in the same memory.
  if (!pending.value.is_same(parameter)) kernel::copy(parameter, pending.value);
  update({.parameter = parameter,
          .value = pending.value,
          .grad = pending.grad,
          .accumulators = slot.accumulators,
          .rule = pending.rule,
          .lr = pending.lr,
          .step = slot.step,
          .keep = pending.keep});
  if (!pending.value.is_same(parameter)) kernel::copy(pending.value, parameter);
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
    updated.reserve(pending.size());
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
