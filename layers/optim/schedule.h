// Schedule: a learning rate that changes with a count of steps, and LearningRate, which is a number or a schedule.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <dygrad/core/base/export.h>
#include <dygrad/core/base/out_of_memory.h>

namespace dygrad {

namespace detail {
DYGRAD_API std::string formula_name(const std::type_info& type);
[[noreturn]] DYGRAD_API void fail_empty_formula();

/// What a number of a schedule's state may be.
struct NumberRange {
  const char* name;
  double lowest, highest;
  bool is_count = false;  // a whole number
};

/// Largest count: all up to it are exact as float64, which states consist of.
inline constexpr std::int64_t kMaxSteps = std::int64_t{1} << 53;

/// Throws InvalidArgument if the first count is past kMaxSteps either way.
DYGRAD_API std::int64_t checked_begin(const std::string& schedule, std::int64_t begin);
/// Throws InvalidArgument unless the rate at the first count is finite and not negative.
DYGRAD_API void check_first_rate(const std::string& schedule, std::int64_t begin, double rate);

/// Throws InvalidArgument if so many schedules within each other would need too deep a stack.
DYGRAD_API int checked_depth(const std::string& schedule, int depth);

/// Throws InvalidArgument where the sum is past kMaxSteps either way.
DYGRAD_API std::int64_t next_count(std::int64_t count, std::int64_t step);
}  // namespace detail

class Schedule;

/// How a formula is counted. A class that wants anything but 0, 1, 2, ... says so: one of the user's, too.
///   struct Warmup {
///     std::int64_t begin = 1;
///     double operator()(std::int64_t s) const;
///     ScheduleCounting counting() const { return {.begin = begin}; }
///   };
struct ScheduleCounting {
  std::int64_t begin = 0;
  std::int64_t step = 1;
  bool per_epoch = false;     ///< optimizers do not advance it
  Schedule* inner = nullptr;  ///< a schedule inside the formula, which is advanced, saved and loaded with it
};

/// A formula: the rate at count s. The ones in schedules.h, or any function of the user's.
template <class F>
concept ScheduleFormula = std::is_invocable_r_v<double, const F&, std::int64_t> && std::copy_constructible<F>;

/// A formula with its count s. Copies share the count, so that the one given to an optimizer follows the user's:
///   Schedule rate = CosineDecay{.learning_rate = 0.1, .step_each_epoch = 100, .epochs = 10};
///   SGD sgd(model.parameters(), {.learning_rate = rate});
///   ... sgd.step(); rate.step();
/// s is counted as the formula's counting() says, else 0, 1, 2, ... Throws InvalidArgument for an empty function, if
/// |begin| > 2^53, for a rate at a negative begin that is negative or not finite, for formulas nested more than 100
/// deep, and for what counting() throws.
/// The user advances it, as in Paddle 2.x, once per batch or per epoch as the formula is meant; or the optimizer does
/// with `.advance_schedule = true`, once per step, as Paddle 1.8's minimize.
class DYGRAD_API Schedule {
 public:
  template <class F>
  requires(!std::derived_from<F, Schedule> && ScheduleFormula<F>) Schedule(F formula)
      : state_(detail::with_out_of_memory("Schedule",
                                          [&] { return std::make_shared<FormulaState<F>>(std::move(formula)); })) {}
  Schedule(const Schedule&) = default;  // moving copies, so that none is without a state
  Schedule& operator=(const Schedule&) = default;

  /// The rate now, as the formula gives it; optimizers refuse one that is negative or not finite.
  double lr() const {
    const std::shared_ptr<State> running = state_;  // a user's formula may assign to the schedule
    return running->lr();
  }
  /// The count now.
  std::int64_t count() const { return state_->count; }
  /// Throws InvalidArgument, and stays as it is, if the count would pass 2^53.
  void step() { state_->advance(); }
  /// The formula's class, for messages.
  std::string name() const;
  /// The same, in Paddle's word for schedules that count epochs.
  void epoch() { step(); }
  /// True for formulas that count epochs, which optimizers do not advance.
  bool is_per_epoch() const { return state_->is_per_epoch(); }

  /// All that changes over time, as numbers; for checkpoints.
  std::vector<double> state() const;
  /// Throws InvalidArgument, and stays as it is, unless it has as many numbers as state(), each in its range: counts
  /// are whole, from 0 (or a negative `begin`) to 2^53; rates are not negative and finite, the one that follows too.
  /// Its own state changes nothing, and is not refused for the rate that follows.
  void set_state(const std::vector<double>& numbers);
  /// What set_state would complain of: "count: expected ..., got ..."; empty if nothing.
  std::string compare_state(const std::vector<double>& numbers) const;

 protected:
  struct DYGRAD_API State {
    State() = default;
    virtual ~State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    virtual double lr() const = 0;
    virtual void advance() = 0;
    virtual bool is_per_epoch() const { return false; }
    virtual std::string name() const { return "Schedule"; }
    virtual void save(std::vector<double>& numbers) const;
    virtual void load(const double*& numbers);
    /// One for each number that save() gives.
    virtual void ranges(std::vector<detail::NumberRange>& list) const;
    std::int64_t count = 0;
    int depth = 1;  // of nested schedules
  };
  explicit Schedule(std::shared_ptr<State> state) : state_(std::move(state)) {}
  State& shared_state() const { return *state_; }

 private:
  template <class F>
  struct FormulaState final : State {
    static constexpr bool kIsCounted = requires { &F::counting; };
    static constexpr bool kHasFields = requires { &F::begin; }
    || requires { &F::step; }
    || requires { &F::per_epoch; };
    static_assert(kIsCounted || !kHasFields,
                  "a formula with begin, step or per_epoch says so: ScheduleCounting counting() const");

    explicit FormulaState(F f) : formula(std::move(f)) {
      if constexpr (std::is_constructible_v<F, std::nullptr_t> && requires { formula == nullptr; }) {
        if (formula == nullptr) detail::fail_empty_formula();
      }
      if constexpr (kIsCounted) {
        counting = formula.counting();
        count = detail::checked_begin(name(), counting.begin);
        if (counting.inner) depth = detail::checked_depth(name(), counting.inner->state_->depth + 1);
        // From 0 on a rate is looked at when it is used.
        if (count < 0) detail::check_first_rate(name(), count, formula(count));
      }
    }
    double lr() const override {
      return detail::call_user([this]() -> double { return formula(count); });
    }
    void advance() override {
      const std::int64_t next = detail::next_count(count, counting.step);
      if (counting.inner && !counting.inner->is_per_epoch()) counting.inner->step();
      count = next;
    }
    std::string name() const override { return detail::formula_name(typeid(F)); }
    bool is_per_epoch() const override { return counting.per_epoch; }
    void save(std::vector<double>& numbers) const override {
      State::save(numbers);
      if (counting.inner) counting.inner->state_->save(numbers);
    }
    void load(const double*& numbers) override {
      State::load(numbers);
      if (counting.inner) counting.inner->state_->load(numbers);
    }
    void ranges(std::vector<detail::NumberRange>& list) const override {
      State::ranges(list);
      if (counting.begin < 0) list.back().lowest = static_cast<double>(counting.begin);
      if (counting.step < 0) list.back().lowest = -list.back().highest;
      if (counting.inner) counting.inner->state_->ranges(list);
    }
    ScheduleCounting counting;
    F formula;
  };

  std::string first_difference(const std::vector<double>& numbers) const;
  void check_and_load(const std::vector<double>& numbers);

  std::shared_ptr<State> state_;
};

/// `.learning_rate = 0.1`, `.learning_rate = schedule`, or a formula itself.
class DYGRAD_API LearningRate {
 public:
  /// Throws InvalidArgument if negative or not finite.
  template <class Number>
  requires std::is_arithmetic_v<Number> LearningRate(Number value) { set_value(static_cast<double>(value)); }
  LearningRate(Schedule schedule);
  template <class F>
  requires(!std::is_arithmetic_v<F> && !std::derived_from<F, Schedule> && !std::same_as<F, LearningRate> &&
           ScheduleFormula<F>) LearningRate(F formula)
      : LearningRate(Schedule(std::move(formula))) {}

  /// Throws InvalidArgument, naming schedule, count and rate, if the schedule's is negative or not finite.
  double value() const { return schedule_ ? checked_rate(*schedule_) : value_; }
  /// Null for a number.
  Schedule* schedule() const { return schedule_.get(); }
  /// Replaces number or schedule by a number.
  void set_value(double value);

 private:
  static double checked_rate(const Schedule& schedule);

  double value_ = 0;
  std::shared_ptr<Schedule> schedule_;
};

}  // namespace dygrad
