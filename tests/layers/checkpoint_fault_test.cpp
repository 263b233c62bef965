// Loads of models and checkpoints with each of their allocations failing.
#include <memory>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/layers/batch_norm.h>
#include <dygrad/layers/checkpoint.h>
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/schedules.h>

#include <dygrad/tests/support/fault_sweep.h>
#include <dygrad/tests/support/temporary_folder.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

/// A model with statistics, its optimizer and a file of a later state.
struct Resumed {
  Sequential model{{"fc", make_layer<Linear>({.input_dim = 3, .output_dim = 2})},
                   {"norm", make_layer<BatchNorm>({.num_channels = 2})}};
  Schedule rate = CosineDecay{.learning_rate = 0.1, .step_each_epoch = 1, .epochs = 9};
  Adam optimizer{model.parameters(), {.learning_rate = rate, .advance_schedule = true}};

  void train(int steps) {
    for (int i = 0; i < steps; ++i) {
      model.clear_gradients();
      const Tensor y = model(normal({4, 3}));
      (y * y).sum().backward();
      optimizer.step();
    }
  }
  Bits bits() const {
    Bits all = bits_of(model.state_dict());
    for (auto& entry : bits_of(optimizer.state_dict())) all.push_back(std::move(entry));
    return all;
  }
};

}  // namespace

TEST_CASE("a checkpoint is loaded as a whole or not at all") {
  const TemporaryFolder folder;
  const std::string run = folder.file("run"), model = folder.file("model");
  const auto make = [] {
    const UniqueNameGuard guard;
    manual_seed(1);
    auto made = std::make_unique<Resumed>();
    made->train(1);
    return made;
  };
  const auto look = [](const Resumed& r) { return r.bits(); };
  {
    const auto later = make();
    later->train(2);
    save_checkpoint(run, later->model, later->optimizer);
    save_state(model, later->model);
  }
  CHECK(sweep(
            make, [&](Resumed& r) { load_checkpoint(run, r.model, r.optimizer); }, look) > 0);
  CHECK(sweep(
            make, [&](Resumed& r) { load_state(model, r.model); }, look) > 0);
  const StateDict state = load_state(model).state;
  CHECK(sweep(
            make, [&](Resumed& r) { r.model.set_dict(state); }, look) > 0);
  const auto swap = [](Resumed& r) {
    StateDict swapped = r.model.state_dict();
    const Tensor mean = swapped.at("norm._mean");
    swapped.set("norm._mean", swapped.at("norm._variance"));
    swapped.set("norm._variance", mean);
    r.model.set_dict(swapped);
  };
  CHECK(sweep(make, swap, look) > 0);
  CHECK(sweep(
            make, [&](Resumed& r) { r.model.eval(); },
            [](Resumed& r) {
              std::string modes;
              for (Layer* layer : r.model.sublayers(/*include_self=*/true)) modes += layer->training() ? 't' : 'e';
              return modes;
            }) > 0);
}
