#include <dygrad/layers/optim/schedule.h>

#include <algorithm>
#include <cmath>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/layers/base/naming.h>
#include <dygrad/layers/support/option_range.h>

namespace dygrad {

Schedule::State::~State() = default;

void Schedule::State::save(std::vector<double>& numbers) const { numbers.push_back(static_cast<double>(count)); }

void Schedule::State::load(const double*& numbers) { count = static_cast<std::int64_t>(*numbers++); }

std::string Schedule::name() const {
  return detail::with_out_of_memory("Schedule", [this] { return state_->name(); });
}

std::vector<double> Schedule::state() const {
  return detail::with_out_of_memory("Schedule", [this] {
    std::vector<double> numbers;
    state_->save(numbers);
    return numbers;
  });
}

void Schedule::State::ranges(std::vector<detail::NumberRange>& list) const {
  list.push_back({"count", 0, static_cast<double>(detail::kMaxSteps), /*is_count=*/true});
}

std::string Schedule::compare_state(const std::vector<double>& numbers) const {
  return detail::with_out_of_memory("Schedule", [&] { return first_difference(numbers); });
}

std::string Schedule::first_difference(const std::vector<double>& numbers) const {
  const std::size_t expected = state().size();
  if (numbers.size() != expected) return fmt::format("expected {} numbers, got {}", expected, numbers.size());
  std::vector<detail::NumberRange> ranges;
  state_->ranges(ranges);
  for (std::size_t i = 0; i < std::min(ranges.size(), expected); ++i) {
    const detail::NumberRange& range = ranges[i];
    const double number = numbers[i];
    if (number >= range.lowest && number <= range.highest && (!range.is_count || number == std::floor(number)))
      continue;
    return fmt::format("{}: expected {} in [{}, {}], got {}", range.name,
                       range.is_count ? "a whole number" : "a number", range.lowest, range.highest, number);
  }
  return {};
}

void Schedule::set_state(const std::vector<double>& numbers) {
  detail::with_out_of_memory("Schedule", [&] { check_and_load(numbers); });
}

void Schedule::check_and_load(const std::vector<double>& numbers) {
  const auto fail = [&](const std::string& problem) {
    throw InvalidArgument(Message("Schedule", "the state cannot be that of this schedule.")
                              .line("schedule {}", name())
                              .line("{}", problem)
                              .fix("load a state that this kind of schedule saved"));
  };
  if (const std::string problem = compare_state(numbers); !problem.empty()) fail(problem);
  const std::vector<double> before = state();
  if (numbers == before) return;
  const auto own = state_;  // lr() may run a user's formula, which may assign to this schedule
  const auto load = [&own](const std::vector<double>& from) {
    const double* next = from.data();
    own->load(next);
  };
  load(numbers);
  try {
    if (const double rate = lr(); !detail::is_rate(rate)) {
      fail(fmt::format("count {} gives the rate: expected a finite number >= 0, got {}", count(), rate));
    }
  } catch (...) {
    load(before);
    throw;
  }
}

std::int64_t detail::checked_begin(const std::string& schedule, std::int64_t begin) {
  if (begin >= -kMaxSteps && begin <= kMaxSteps) return begin;
  throw InvalidArgument(Message(schedule, "begin is out of range.")
                            .expected("{} <= begin <= {}", -kMaxSteps, kMaxSteps)
                            .got("{}", begin)
                            .fix("count from a number nearer to 0"));
}

void detail::check_first_rate(const std::string& schedule, std::int64_t begin, double rate) {
  if (is_rate(rate)) return;
  throw InvalidArgument(Message(schedule, "the formula gives no rate at begin.")
                            .line("begin {}", begin)
                            .expected("a finite number >= 0")
                            .got("{}", rate)
                            .fix("begin at 0 or later"));
}

int detail::checked_depth(const std::string& schedule, int depth) {
  constexpr int kMax = 100;
  if (depth <= kMax) return depth;
  throw InvalidArgument(Message(schedule, "schedules are nested too deeply.")
                            .expected("at most {} within each other", kMax)
                            .got("{}", depth)
                            .fix("write the rate as one function of the count"));
}

std::int64_t detail::next_count(std::int64_t count, std::int64_t step) {
  std::int64_t next = 0;
  if (!__builtin_add_overflow(count, step, &next) && next >= -kMaxSteps && next <= kMaxSteps) return next;
  throw InvalidArgument(Message("Schedule", "the count would leave its range.")
                            .expected("{} <= count <= {}", -kMaxSteps, kMaxSteps)
                            .got("{} + {}", count, step)
                            .fix("use a smaller begin or step"));
}

void detail::fail_empty_formula() {
  throw InvalidArgument(
      Message("Schedule", "the function is empty.").fix("pass a function of the count, or one of the formulas"));
}

std::string detail::formula_name(const std::type_info& type) { return class_name(type); }

LearningRate::LearningRate(Schedule schedule)
    : schedule_(detail::with_out_of_memory("learning_rate",
                                           [&] { return std::make_shared<Schedule>(std::move(schedule)); })) {}

double LearningRate::checked_rate(const Schedule& schedule) {
  const double rate = schedule.lr();
  if (detail::is_rate(rate)) return rate;
  throw InvalidArgument(Message("learning_rate", "the schedule gives a rate that is out of range.")
                            .line("schedule {}, at step {}", schedule.name(), schedule.count())
                            .expected("a finite number >= 0")
                            .got("{}", rate)
                            .fix("look at the schedule's numbers, and at how often it was advanced"));
}

void LearningRate::set_value(double value) {
  if (!detail::is_rate(value)) {
    throw InvalidArgument(Message("learning_rate", "the rate is out of range.")
                              .expected("a finite number >= 0")
                              .got("{}", value)
                              .fix("use a number such as 0.001"));
  }
  value_ = value;
  schedule_ = nullptr;
}

}  // namespace dygrad
