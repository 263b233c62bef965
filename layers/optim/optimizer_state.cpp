// The members of Optimizer that give and take its state.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/out_of_memory.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/kernels/copy.h>
#include <dygrad/layers/base/detail/state_copy.h>
#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

namespace {

std::string key(std::size_t parameter, std::string_view part) { return fmt::format("{}.{}", parameter, part); }

Tensor scalar(std::int64_t value) { return from_vector<std::int64_t>({value}, Shape{}); }
Tensor scalar(double value) { return from_vector<double>({value}, Shape{}); }

/// The first element outside of [lowest, largest finite number], if there is one.
std::optional<double> first_outside(const Tensor& x, double lowest) {
  return dispatch_float(x.dtype(), "optimizer", [&]<class T>() -> std::optional<double> {
    const Tensor dense = kernel::contiguous(x);
    for (T value : dense.read<T>()) {
      if (!(value >= static_cast<T>(lowest) && value <= std::numeric_limits<T>::max())) return value;
    }
    return std::nullopt;
  });
}

/// Looks entries up by name, and collects what is wrong with them.
class StateCheck {
 public:
  explicit StateCheck(const StateDict& state) : state_(state) {}

  /// The entry if it is there and fits; else null, and reported.
  const Tensor* expect(const std::string& name, DType dtype, const Shape& shape) {
    const Tensor* found = state_.find(name);
    if (!found) {
      report_.missing.push_back(name);
      return nullptr;
    }
    used_.insert(name);
    const Tensor& tensor = *found;
    if (tensor.defined() && tensor.dtype() == dtype && tensor.shape() == shape) return &tensor;
    mismatch(name, fmt::format("expected {} {}, got {}", dtype, shape, detail::describe(tensor)));
    return nullptr;
  }
  void expect_count(const std::string& name, std::int64_t least) {
    const Tensor* tensor = expect(name, DType::int64, {});
    if (!tensor) return;
    const std::int64_t count = tensor->item<std::int64_t>();
    if (count >= least && count <= detail::kMaxSteps) return;
    mismatch(name, fmt::format("expected {} <= count <= {}, got {}", least, detail::kMaxSteps, count));
  }
  void expect_rate(const std::string& name) {
    const Tensor* tensor = expect(name, DType::float64, {});
    if (tensor && !(tensor->item() >= 0 && std::isfinite(tensor->item())))
      mismatch(name, fmt::format("expected a finite number >= 0, got {}", tensor->item()));
  }
  /// Reports that the state has `other` in the place of what was expected.
  void mismatch_with(const std::string& other, const std::string& name, const std::string& problem) {
    used_.insert(other);
    mismatch(name, problem);
  }
  void expect_schedule(const std::string& name, const Schedule& schedule) {
    const Tensor* tensor = expect(name, DType::float64, Shape(static_cast<std::int64_t>(schedule.state().size())));
    if (!tensor) return;
    const std::string problem = schedule.compare_state(tensor->to_vector<double>());
    if (!problem.empty()) mismatch(name, fmt::format("{} of {}", problem, schedule.name()));
  }
  void expect_numbers(const std::string& name, const Parameter& like, bool not_negative) {
    const Tensor* tensor = expect(name, like.dtype(), like.shape());
    if (!tensor) return;
    const double lowest = not_negative ? 0 : -std::numeric_limits<double>::max();
    if (const std::optional<double> bad = first_outside(*tensor, lowest))
      mismatch(name, fmt::format("expected finite numbers{}, got {}", not_negative ? " >= 0" : "", *bad));
  }

  bool has(const std::string& name) const { return state_.contains(name); }
  LoadReport report() && {
    for (const auto& [name, tensor] : state_) {
      if (!used_.contains(name)) report_.unexpected.push_back(name);
    }
    return std::move(report_);
  }

 private:
  void mismatch(const std::string& name, const std::string& problem) {
    report_.mismatched.push_back(fmt::format("{}: {}", name, problem));
  }

  const StateDict& state_;
  std::set<std::string, std::less<>> used_;
  LoadReport report_;
};

}  // namespace

StateDict Optimizer::state_dict() const {
  return detail::with_out_of_memory(name_, [this] { return state_as_it_is(); });
}

StateDict Optimizer::state_as_it_is() const {
  StateDict::Entries state{{"global_step", scalar(global_step_)}};
  if (const Schedule* schedule = settings_.learning_rate.schedule()) {
    state.emplace_back("schedule", from_vector(schedule->state()));
  } else {
    state.emplace_back("learning_rate", scalar(get_lr()));
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const detail::OptimizerSlot& slot = slots_[i];
    if (slot.step == 0) continue;
    state.emplace_back(key(i, "step"), scalar(slot.step));
    for (std::size_t a = 0; a < accumulators_.size(); ++a) {
      state.emplace_back(key(i, accumulators_[a].name), slot.accumulators[a]);
    }
  }
  return StateDict(std::move(state));
}

LoadReport Optimizer::compare_dict(const StateDict& state) const {
  return detail::with_out_of_memory(name_, [&] {
    StateCheck check(state);
    check.expect_count("global_step", 0);
    const Schedule* schedule = settings_.learning_rate.schedule();
    const bool has_schedule = check.has("schedule"), has_rate = check.has("learning_rate");
    if (schedule && has_rate && !has_schedule) {
      check.mismatch_with("learning_rate", "schedule",
                          fmt::format("expected the state of {}, got a rate without schedule", schedule->name()));
    } else if (schedule) {
      check.expect_schedule("schedule", *schedule);
    } else if (has_schedule && !has_rate) {
      check.mismatch_with("schedule", "learning_rate", "expected a rate without schedule, got the state of a schedule");
    } else {
      check.expect_rate("learning_rate");
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      const bool started = check.has(key(i, "step")) || std::ranges::any_of(accumulators_, [&](const Accumulator& a) {
                             return check.has(key(i, a.name));
                           });
      if (!started) continue;  // was never updated
      check.expect_count(key(i, "step"), 1);
      for (const Accumulator& accumulator : accumulators_)
        check.expect_numbers(key(i, accumulator.name), parameters_[i], accumulator.not_negative);
    }
    return std::move(check).report();
  });
}

void Optimizer::set_state_dict(const StateDict& state) {
  if (const LoadReport report = compare_dict(state); !report.ok()) {
    throw InvalidArgument(report.message("set_state_dict", name_));
  }
  detail::with_out_of_memory(name_, [&] { load(state); });
}

// All that can fail comes first; the schedule, which may be the user's, is the last of it.
void Optimizer::load(const StateDict& state) {
  std::vector<detail::OptimizerSlot> slots(slots_.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Tensor* step = state.find(key(i, "step"));
    if (!step) continue;
    slots[i].step = step->item<std::int64_t>();
    slots[i].accumulators = make_accumulators(parameters_[i]);
    for (std::size_t a = 0; a < accumulators_.size(); ++a) {
      slots[i].accumulators[a].set_value(state.at(key(i, accumulators_[a].name)));
    }
  }
  const std::int64_t global_step = state.at("global_step").item<std::int64_t>();
  if (Schedule* schedule = settings_.learning_rate.schedule()) {
    schedule->set_state(state.at("schedule").to_vector<double>());
  } else {
    settings_.learning_rate.set_value(state.at("learning_rate").item());
  }
  global_step_ = global_step;
  slots_ = std::move(slots);
}

}  // namespace dygrad
