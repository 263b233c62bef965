#include <dygrad/layers/optim/schedules.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <dygrad/layers/support/option_range.h>

namespace dygrad {

namespace {

/// For conditions on several fields; got() formats their values.
template <class Got>
void require_fields(const char* schedule, bool holds, const char* expected, const Got& got) {
  if (holds) return;
  throw InvalidArgument(Message(schedule, "a field is out of range.")
                            .expected("{}", expected)
                            .got("{}", got())
                            .fix("change the fields that are named here"));
}

std::string joined(const std::vector<std::int64_t>& values) { return fmt::format("{}", fmt::join(values, ", ")); }

void require(const char* schedule, bool holds, const char* expected, const char* field, double got) {
  detail::require_option(schedule, holds, expected, field, got);
}

void require_rate(const char* schedule, const char* field, double rate) {
  require(schedule, detail::is_rate(rate), "a finite number >= 0", field, rate);
}

void require_positive(const char* schedule, const char* field, double number) {
  require(schedule, number > 0 && std::isfinite(number), "a finite number > 0", field, number);
}

template <class List>
bool is_strictly_increasing(const List& list) {
  return std::ranges::adjacent_find(list, [](auto a, auto b) { return a >= b; }) == list.end();
}

double as_double(std::int64_t n) { return static_cast<double>(n); }

double decay_exponent(std::int64_t s, double decay_steps, bool staircase) {
  const double q = as_double(s) / decay_steps;
  return staircase ? std::floor(q) : q;
}

}  // namespace

double PiecewiseDecay::operator()(std::int64_t s) const {
  const auto passed = std::ranges::upper_bound(boundaries, s) - boundaries.begin();
  return values[static_cast<std::size_t>(passed)];
}
ScheduleCounting PiecewiseDecay::counting() const {
  require_fields("PiecewiseDecay", values.size() == boundaries.size() + 1, "one more value than boundaries",
                 [&] { return fmt::format("{} values, {} boundaries", values.size(), boundaries.size()); });
  for (double value : values) require_rate("PiecewiseDecay", "values", value);
  require_fields("PiecewiseDecay", is_strictly_increasing(boundaries), "increasing boundaries",
                 [&] { return joined(boundaries); });
  return {.begin = begin, .step = step};
}

double CosineDecay::operator()(std::int64_t s) const {
  const double epoch = std::floor(as_double(s) / as_double(step_each_epoch));
  return learning_rate / 2 * (std::cos(std::numbers::pi * epoch / as_double(epochs)) + 1);
}
ScheduleCounting CosineDecay::counting() const {
  require_rate("CosineDecay", "learning_rate", learning_rate);
  require("CosineDecay", step_each_epoch > 0, "step_each_epoch > 0", "step_each_epoch", as_double(step_each_epoch));
  require("CosineDecay", epochs > 0, "epochs > 0", "epochs", as_double(epochs));
  return {.begin = begin, .step = step};
}

double LinearLrWarmup::operator()(std::int64_t s) const {
  if (s >= warmup_steps) return learning_rate.value();
  return start_lr + (end_lr - start_lr) * as_double(s) / as_double(warmup_steps);
}
ScheduleCounting LinearLrWarmup::counting() const {
  require_rate("LinearLrWarmup", "start_lr", start_lr);
  require_rate("LinearLrWarmup", "end_lr", end_lr);
  require("LinearLrWarmup", warmup_steps > 0, "warmup_steps > 0", "warmup_steps", as_double(warmup_steps));
  require_fields("LinearLrWarmup", start_lr < end_lr, "start_lr < end_lr",
                 [&] { return fmt::format("start_lr {}, end_lr {}", start_lr, end_lr); });
  return {.begin = begin, .step = step, .inner = learning_rate.schedule()};
}

double ExponentialDecay::operator()(std::int64_t s) const {
  return learning_rate * std::pow(decay_rate, decay_exponent(s, decay_steps, staircase));
}
ScheduleCounting ExponentialDecay::counting() const {
  require_rate("ExponentialDecay", "learning_rate", learning_rate);
  require_positive("ExponentialDecay", "decay_steps", decay_steps);
  require_rate("ExponentialDecay", "decay_rate", decay_rate);
  return {.begin = begin, .step = step};
}

double NaturalExpDecay::operator()(std::int64_t s) const {
  return learning_rate * std::exp(-decay_rate * decay_exponent(s, decay_steps, staircase));
}
ScheduleCounting NaturalExpDecay::counting() const {
  require_rate("NaturalExpDecay", "learning_rate", learning_rate);
  require_positive("NaturalExpDecay", "decay_steps", decay_steps);
  require_rate("NaturalExpDecay", "decay_rate", decay_rate);
  return {.begin = begin, .step = step};
}

double InverseTimeDecay::operator()(std::int64_t s) const {
  return learning_rate / (1 + decay_rate * decay_exponent(s, decay_steps, staircase));
}
ScheduleCounting InverseTimeDecay::counting() const {
  require_rate("InverseTimeDecay", "learning_rate", learning_rate);
  require_positive("InverseTimeDecay", "decay_steps", decay_steps);
  require_rate("InverseTimeDecay", "decay_rate", decay_rate);
  return {.begin = begin, .step = step};
}

double PolynomialDecay::operator()(std::int64_t s) const {
  double steps = as_double(decay_steps);
  double at = as_double(s);
  if (cycle) steps *= s == 0 ? 1 : std::ceil(at / steps);
  else at = std::min(at, steps);
  return (learning_rate - end_learning_rate) * std::pow(1 - at / steps, power) + end_learning_rate;
}
ScheduleCounting PolynomialDecay::counting() const {
  require_rate("PolynomialDecay", "learning_rate", learning_rate);
  require_rate("PolynomialDecay", "end_learning_rate", end_learning_rate);
  require_rate("PolynomialDecay", "power", power);
  require("PolynomialDecay", !cycle || begin >= 0, "begin >= 0 with cycle", "begin", as_double(begin));
  require("PolynomialDecay", decay_steps > 0, "decay_steps > 0", "decay_steps", as_double(decay_steps));
  return {.begin = begin, .step = step};
}

double NoamDecay::operator()(std::int64_t s) const {
  const double rising = as_double(s) * std::pow(warmup_steps, -1.5);
  const double falling = 1 / std::sqrt(as_double(s));
  return learning_rate / std::sqrt(d_model) * std::min(rising, falling);
}
ScheduleCounting NoamDecay::counting() const {
  require_rate("NoamDecay", "learning_rate", learning_rate);
  require_positive("NoamDecay", "d_model", d_model);
  require_positive("NoamDecay", "warmup_steps", warmup_steps);
  return {.begin = begin, .step = step};
}

double StepDecay::operator()(std::int64_t e) const {
  return learning_rate * std::pow(decay_rate, as_double(e / step_size));
}
ScheduleCounting StepDecay::counting() const {
  require_rate("StepDecay", "learning_rate", learning_rate);
  require("StepDecay", step_size > 0, "step_size > 0", "step_size", as_double(step_size));
  require("StepDecay", decay_rate >= 0 && decay_rate < 1, "0 <= decay_rate < 1", "decay_rate", decay_rate);
  return {.per_epoch = true};
}

double MultiStepDecay::operator()(std::int64_t e) const {
  const auto passed = std::ranges::upper_bound(milestones, e) - milestones.begin();
  return learning_rate * std::pow(decay_rate, as_double(passed));
}
ScheduleCounting MultiStepDecay::counting() const {
  require_rate("MultiStepDecay", "learning_rate", learning_rate);
  require_fields("MultiStepDecay", is_strictly_increasing(milestones), "increasing milestones",
                 [&] { return joined(milestones); });
  require("MultiStepDecay", decay_rate >= 0 && decay_rate < 1, "0 <= decay_rate < 1", "decay_rate", decay_rate);
  return {.per_epoch = true};
}

double LambdaDecay::operator()(std::int64_t e) const { return learning_rate * lr_lambda(e); }
ScheduleCounting LambdaDecay::counting() const {
  require_rate("LambdaDecay", "learning_rate", learning_rate);
  require_fields("LambdaDecay", static_cast<bool>(lr_lambda), "a function lr_lambda", [] { return "none"; });
  return {.per_epoch = true};
}

}  // namespace dygrad
