// Optimizer: what all update rules share. Gathers gradients, clips, regularises, applies the learning rates, and saves
// state; a rule adds the formula.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dygrad/layers/base/parameter.h>
#include <dygrad/layers/base/regularizer.h>
#include <dygrad/layers/base/state_dict.h>
#include <dygrad/layers/optim/clip.h>
#include <dygrad/layers/optim/schedule.h>

namespace dygrad {

struct ParameterGradient {
  Parameter parameter;
  Tensor grad;
};

/// The gradient as an update rule sees it: times `scale`, then into [low, high], then plus decay.
struct GradientRule {
  double scale = 1;
  bool clamp = false;
  double low = 0, high = 0;
  double l1 = 0, l2 = 0;
};

/// What an update rule works on: dense tensors whose elements lie in the same order in memory.
struct OptimizerUpdate {
  const Parameter& parameter;
  const Tensor& value;                // its elements, to be changed
  const Tensor& grad;                 // as stored; `rule` says how to use it
  std::vector<Tensor>& accumulators;  // in the order of the optimizer's constructor
  GradientRule rule;
  double lr;
  std::int64_t step;  // of this parameter; 1 at the first update
  double keep = 1;    // factor on the value before the step: 1 - lr decoupled_decay
};

namespace detail {
class MemoryRanges;
struct PendingUpdate;

/// What an optimizer remembers of one parameter.
struct OptimizerSlot {
  std::int64_t step = 0;
  std::vector<Tensor> accumulators;  // empty before the first update
};
}  // namespace detail

/// Updates a list of parameters in place, from their stored gradients, which it leaves as they are:
///   loss.backward(); optimizer.step(); optimizer.clear_gradients();
/// Parameters that are frozen (stop_gradient) or have no gradient are skipped, without any decay. The order is: clip,
/// then regularise, then update with rate get_lr() * parameter.learning_rate(). Formulas run in the parameter's dtype,
/// with constants made in float64.
/// A call that throws, for want of memory too, leaves parameters, state and schedule as they were.
class DYGRAD_API Optimizer {
 public:
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Throws InvalidArgument, naming schedule, count and value, if a rate is negative, or not finite in the dtype of a
  /// parameter.
  void step();
  /// Paddle's word for step(): runs no backward pass and clears nothing. Returns the parameters that were updated with
  /// their stored gradients. Throws InvalidArgument if `loss` is undefined.
  std::vector<ParameterGradient> minimize(const Tensor& loss);
  /// Drops all stored gradients, or sets them to zero.
  void clear_gradients(bool set_to_zero = false);
  void clear_grad() { clear_gradients(); }

  /// Of the update rule: "Adam".
  const std::string& name() const { return name_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Throws InvalidArgument if a schedule gives a rate that is negative or not finite.
  double get_lr() const { return settings_.learning_rate.value(); }
  double current_step_lr() const { return get_lr(); }
  /// Throws InvalidArgument if a schedule drives the rate, or the value is negative or not finite.
  void set_lr(double value);
  /// Calls of step() and minimize() so far, also those that found no gradient. A parameter's own count, which an update
  /// rule sees, moves with its updates only.
  std::int64_t global_step() const { return global_step_; }

  /// Everything that a resumed run needs to go on bit by bit: "global_step", "learning_rate" or "schedule", and for
  /// each updated parameter, by its position in the list, "0.step" and "0.moment1" and the like. Accumulators are live
  /// handles; counts, rate and schedule are copies. Given as it is, also where training has led to numbers that
  /// set_state_dict refuses, such as a moment that is infinite: compare_dict reports it, and save_checkpoint does not
  /// save it.
  StateDict state_dict() const;
  /// Copies values in. Throws InvalidArgument listing everything that does not fit, before anything is changed: names,
  /// dtypes, shapes, counts outside of [0, 2^53], rates that are negative or not finite, accumulators with such
  /// numbers.
  void set_state_dict(const StateDict& state);
  void set_dict(const StateDict& state) { set_state_dict(state); }
  LoadReport compare_dict(const StateDict& state) const;

 protected:
  struct Settings {
    LearningRate learning_rate;
    Regularizer regularization;
    GradientClip grad_clip;
    bool advance_schedule;
  };
  struct Accumulator {
    std::string name;
    double initial_value = 0;
    bool not_negative = false;  // as a mean of squares is; loaded ones are checked
  };
  /// Throws InvalidArgument if `parameters` is empty, or has an undefined or repeated one.
  Optimizer(std::string name, std::vector<Parameter> parameters, Settings settings,
            std::vector<Accumulator> accumulators);
  /// The formula. Must not throw, nor ask for memory: by then other parameters have changed.
  virtual void update(const OptimizerUpdate& update) = 0;
  /// Decay that does not go through the gradient; asked before anything changes.
  virtual double decoupled_decay(const Parameter&) const { return 0; }

 private:
  detail::MemoryRanges written_memory() const;
  std::vector<detail::PendingUpdate> prepare() const;
  void set_rates(std::vector<detail::PendingUpdate>& pending) const;
  void check_count(std::int64_t steps) const;
  void apply_clip(std::vector<detail::PendingUpdate>& pending) const;
  void commit(std::vector<detail::PendingUpdate>& pending);
  void update_one(detail::PendingUpdate& pending);
  std::vector<Tensor> make_accumulators(const Parameter& parameter) const;
  StateDict state_as_it_is() const;
  void load(const StateDict& state);

  std::string name_;
  std::vector<Parameter> parameters_;
  Settings settings_;
  std::vector<Accumulator> accumulators_;
  std::vector<detail::OptimizerSlot> slots_;
  std::int64_t global_step_ = 0;
};

}  // namespace dygrad
