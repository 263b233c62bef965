// The members of Optimizer that give and take its state.
#include <algorithm>
#include <functional>
#include <unordered_set>

#include <dygrad/core/copy.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/core/message.h>
#include <dygrad/layers/optim/optimizer.h>

namespace dygrad {

namespace {
std::string key(std::size_t parameter, std::string_view part) { return fmt::format("{}.{}", parameter, part); }

std::string describe(const Tensor& x) {
  return x.defined() ? fmt::format("{} {}", x.dtype(), x.shape()) : "an undefined tensor";
}

Tensor scalar(std::int64_t value) { return from_vector<std::int64_t>({value}, Shape{}); }
Tensor scalar(double value) { return from_vector<double>({value}, Shape{}); }
}  // namespace

StateDict Optimizer::state_dict() const {
  StateDict::Entries state{{"global_step", scalar(global_step_)}};
  if (const Schedule* schedule = settings_.learning_rate.schedule()) {
    state.emplace_back("schedule", from_vector(schedule->state()));
  } else {
    state.emplace_back("learning_rate", scalar(get_lr()));
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.step == 0) continue;
    state.emplace_back(key(i, "step"), scalar(slot.step));
    for (std::size_t a = 0; a < accumulators_.size(); ++a) {
      state.emplace_back(key(i, accumulators_[a].name), slot.accumulators[a]);
    }
  }
  return StateDict(std::move(state));
}

LoadReport Optimizer::compare_dict(const StateDict& state) const {
  LoadReport report;
  std::unordered_set<std::string> known;
  const auto expect = [&](const std::string& name, DType dtype, const Shape& shape) {
    known.insert(name);
    const Tensor* found = state.find(name);
    if (!found) {
      report.missing.push_back(name);
    } else if (!found->defined() || found->dtype() != dtype || found->shape() != shape) {
      report.mismatched.push_back(fmt::format("{}: expected {} {}, got {}", name, dtype, shape, describe(*found)));
    }
  };
  expect("global_step", DType::int64, {});
  if (const Schedule* schedule = settings_.learning_rate.schedule()) {
    expect("schedule", DType::float64, Shape(static_cast<std::int64_t>(schedule->state().size())));
  } else {
    expect("learning_rate", DType::float64, {});
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    // A parameter that was never updated has no entries.
    const bool started = std::ranges::any_of(
        state, [prefix = key(i, "")](const StateDict::Entry& entry) { return entry.first.starts_with(prefix); });
    if (!started) continue;
    expect(key(i, "step"), DType::int64, {});
    for (const Accumulator& accumulator : accumulators_) {
      expect(key(i, accumulator.name), parameters_[i].dtype(), parameters_[i].shape());
    }
  }
  for (const auto& [name, tensor] : state) {
    if (!known.contains(name)) report.unexpected.push_back(name);
  }
  return report;
}

void Optimizer::set_state_dict(const StateDict& state) {
  if (const LoadReport report = compare_dict(state); !report.ok()) {
    throw InvalidArgument(report.message("set_state_dict", name_));
  }
  std::vector<Slot> slots(slots_.size());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Tensor* step = state.find(key(i, "step"));
    if (!step) continue;
    slots[i].step = step->item<std::int64_t>();
    slots[i].accumulators = make_accumulators(parameters_[i]);
    for (std::size_t a = 0; a < accumulators_.size(); ++a) {
      slots[i].accumulators[a].set_value(state.at(key(i, accumulators_[a].name)));
    }
  }
  if (Schedule* schedule = settings_.learning_rate.schedule()) {
    schedule->set_state(state.at("schedule").to_vector<double>());
  } else {
    settings_.learning_rate.set_value(state.at("learning_rate").item());
  }
  global_step_ = state.at("global_step").item<std::int64_t>();
  slots_ = std::move(slots);
}

}  // namespace dygrad
