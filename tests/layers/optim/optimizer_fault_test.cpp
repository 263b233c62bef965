// Updates and loads of optimizers with each of their allocations failing.
#include <memory>
#include <type_traits>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/tensor/view.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/reduce_lr_on_plateau.h>
#include <dygrad/layers/optim/schedules.h>
#include <dygrad/layers/optim/sgd.h>

#include <dygrad/tests/support/fault_sweep.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// Three parameters with gradients: dense, with gaps in memory, and with a gradient in another order.
struct Training {
  std::vector<Parameter> parameters;
  Schedule rate = ExponentialDecay{.learning_rate = 0.1, .decay_rate = 0.5};
  std::unique_ptr<Optimizer> optimizer;

  template <class O>
  explicit Training(typename O::Options options, std::type_identity<O>) {
    parameters.emplace_back(full({3}, 1), ParamAttr{.name = "dense"});
    parameters.emplace_back(view::slice(zeros({4, 4}), 1, 0, 4, 2), ParamAttr{.name = "gaps"});
    parameters.emplace_back(full({2, 3, 2, 2}, 2), ParamAttr{.name = "images"});
    options.learning_rate = rate;
    options.advance_schedule = true;
    optimizer = std::make_unique<O>(parameters, options);
    give_gradients();
  }
  void give_gradients() {
    parameters[0].set_grad(full({3}, 0.5));
    parameters[1].set_grad(full({4, 2}, -0.25));
    parameters[2].set_grad(kernel::clone(full({2, 3, 2, 2}, 0.125), MemoryFormat::channels_last));
  }
  Bits bits() const {
    Bits all = bits_of(optimizer->state_dict());
    StateDict rest;
    for (const Parameter& p : parameters) {
      rest.insert(p.name(), p);
      if (p.grad().defined()) rest.insert(p.name() + ".grad", p.grad());
    }
    for (auto& entry : bits_of(rest)) all.push_back(std::move(entry));
    all.emplace_back("count", std::to_string(rate.count()));
    return all;
  }
};

template <class O>
auto training(typename O::Options options, int steps = 0) {
  return [options, steps] {
    const UniqueNameGuard guard;
    auto made = std::make_unique<Training>(options, std::type_identity<O>{});
    for (int i = 0; i < steps; ++i) made->optimizer->step();
    return made;
  };
}

const auto look_at_training = [](const Training& t) { return t.bits(); };
const auto step = [](Training& t) { t.optimizer->step(); };

}  // namespace

TEST_CASE("an update happens as a whole or not at all", "[smoke]") {
  for (int steps : {0, 2}) {
    CAPTURE(steps);
    CHECK(sweep(training<SGD>({.regularization = L2Decay{0.1}}, steps), step, look_at_training) > 0);
    CHECK(sweep(training<Momentum>({.grad_clip = GradientClipByNorm{0.1}}, steps), step, look_at_training) > 0);
    CHECK(sweep(training<Adam>({.grad_clip = GradientClipByGlobalNorm{0.1}}, steps), step, look_at_training) > 0);
    CHECK(sweep(training<AdamW>({.grad_clip = GradientClipByValue{0.1}}, steps), step, look_at_training) > 0);
  }
  CHECK(sweep(
            training<Adam>({}), [](Training& t) { (void)t.optimizer->minimize(t.parameters[0]); }, look_at_training) >
        0);
}

TEST_CASE("gradients are cleared as a whole or not at all") {
  CHECK(sweep(
            training<SGD>({}), [](Training& t) { t.optimizer->clear_gradients(/*set_to_zero=*/true); },
            look_at_training) > 0);
  sweep(
      training<SGD>({}), [](Training& t) { t.optimizer->clear_gradients(); }, look_at_training);
}

TEST_CASE("an optimizer's state is loaded as a whole or not at all") {
  const StateDict later = training<Adam>({}, 3)()->optimizer->state_dict().clone();
  for (int steps : {0, 1}) {
    CHECK(sweep(
              training<Adam>({}, steps), [&](Training& t) { t.optimizer->set_state_dict(later); }, look_at_training) >
          0);
  }
}

TEST_CASE("a schedule's state is loaded as a whole or not at all") {
  const std::vector<double> numbers{7, 0.5, 0.25, 3, 0};
  const auto make = [] { return std::make_unique<Schedule>(ReduceLROnPlateau({.learning_rate = 1})); };
  CHECK(sweep(
            make, [&](Schedule& s) { s.set_state(numbers); }, [](const Schedule& s) { return s.state(); }) > 0);
}
