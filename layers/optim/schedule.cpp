#include <dygrad/layers/optim/schedule.h>

#include <cmath>

#include <dygrad/core/error.h>
#include <dygrad/core/message.h>

namespace dygrad {

Schedule::State::~State() = default;

void Schedule::State::save(std::vector<double>& numbers) const { numbers.push_back(static_cast<double>(count)); }

void Schedule::State::load(const double*& numbers) { count = static_cast<std::int64_t>(*numbers++); }

std::vector<double> Schedule::state() const {
  std::vector<double> numbers;
  state_->save(numbers);
  return numbers;
}

void Schedule::set_state(const std::vector<double>& numbers) {
  const std::size_t expected = state().size();
  if (numbers.size() != expected) {
    throw InvalidArgument(Message("Schedule", "the state belongs to another kind of schedule.")
                              .expected("{} numbers", expected)
                              .got("{}", numbers.size()));
  }
  const double* next = numbers.data();
  state_->load(next);
}

LearningRate::LearningRate(Schedule schedule) : schedule_(std::make_shared<Schedule>(std::move(schedule))) {}

void LearningRate::set_value(double value) {
  if (!(value >= 0) || !std::isfinite(value)) {
    throw InvalidArgument(
        Message("learning_rate", "the rate is out of range.").expected("a finite number >= 0").got("{}", value));
  }
  value_ = value;
  schedule_ = nullptr;
}

}  // namespace dygrad
