// The formulas of learning-rate schedules; s is the schedule's count. Names and formulas as in Paddle's
// fluid.dygraph. Impossible fields throw InvalidArgument when a Schedule is made of them: rates and decay rates are
// finite and not negative, numbers of steps are positive, a negative `begin` is one at which the formula gives a rate,
// and what is said at the formula.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <dygrad/layers/optim/schedule.h>

namespace dygrad {

/// values[i] for the first i with s < boundaries[i], else the last value. One more value than boundaries, which
/// increase.
struct DYGRAD_API PiecewiseDecay {
  std::vector<std::int64_t> boundaries{};
  std::vector<double> values{};
  std::int64_t begin = 0;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// lr/2 (cos(pi e / epochs) + 1) with e = floor(s / step_each_epoch): constant within an epoch.
struct DYGRAD_API CosineDecay {
  double learning_rate = 0;
  std::int64_t step_each_epoch = 1;
  std::int64_t epochs = 1;
  std::int64_t begin = 0;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// start_lr + (end_lr - start_lr) s / warmup_steps while s < warmup_steps, then `learning_rate`; start_lr < end_lr.
/// A wrapped schedule counts from the first step on, not from the end of the warm-up; one that counts epochs waits for
/// its user.
struct DYGRAD_API LinearLrWarmup {
  LearningRate learning_rate = 0;
  std::int64_t warmup_steps = 1;
  double start_lr = 0;
  double end_lr = 0;
  std::int64_t begin = 1;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// lr decay_rate^(s / decay_steps), the exponent floored with staircase.
struct DYGRAD_API ExponentialDecay {
  double learning_rate = 0;
  double decay_steps = 1;
  double decay_rate = 1;
  bool staircase = false;
  std::int64_t begin = 0;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// lr e^(-decay_rate s / decay_steps), the quotient floored with staircase.
struct DYGRAD_API NaturalExpDecay {
  double learning_rate = 0;
  double decay_steps = 1;
  double decay_rate = 0;
  bool staircase = false;
  std::int64_t begin = 0;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// lr / (1 + decay_rate s / decay_steps), the quotient floored with staircase.
struct DYGRAD_API InverseTimeDecay {
  double learning_rate = 0;
  double decay_steps = 1;
  double decay_rate = 0;
  bool staircase = false;
  std::int64_t begin = 0;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// (lr - end) (1 - s/D)^power + end with s capped at D = decay_steps; with cycle, D times ceil(s / D) (1 at s = 0)
/// instead of the cap.
struct DYGRAD_API PolynomialDecay {
  double learning_rate = 0;
  std::int64_t decay_steps = 1;
  double end_learning_rate = 1e-4;
  double power = 1;
  bool cycle = false;
  std::int64_t begin = 0;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// lr d_model^-0.5 min(s^-0.5, s warmup_steps^-1.5).
struct DYGRAD_API NoamDecay {
  double d_model = 1;
  double warmup_steps = 1;
  double learning_rate = 1;
  std::int64_t begin = 1;
  std::int64_t step = 1;
  double operator()(std::int64_t s) const;
  ScheduleCounting counting() const;
};

/// lr decay_rate^floor(e / step_size), where e counts calls of epoch(); decay_rate < 1.
struct DYGRAD_API StepDecay {
  double learning_rate = 0;
  std::int64_t step_size = 1;  ///< epochs between two steps down
  double decay_rate = 0.1;
  double operator()(std::int64_t e) const;
  ScheduleCounting counting() const;
};

/// lr times decay_rate for every milestone that the count of epochs e has reached; milestones increase,
/// decay_rate < 1.
struct DYGRAD_API MultiStepDecay {
  double learning_rate = 0;
  std::vector<std::int64_t> milestones{};
  double decay_rate = 0.1;
  double operator()(std::int64_t e) const;
  ScheduleCounting counting() const;
};

/// lr f(e), where e counts epochs.
struct DYGRAD_API LambdaDecay {
  double learning_rate = 0;
  std::function<double(std::int64_t e)> lr_lambda{};
  double operator()(std::int64_t e) const;
  ScheduleCounting counting() const;
};

}  // namespace dygrad
