#include <dygrad/layers/checkpoint.h>

#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/core/error.h>
#include <dygrad/core/factories.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>

#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/temporary_folder.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
struct Run {
  Linear model{{.input_dim = 3, .output_dim = 2}};
  Adam adam{model.parameters(), {.learning_rate = 0.01}};
  void train(int steps) {
    for (int i = 0; i < steps; ++i) {
      model.clear_gradients();
      const Tensor y = model(ones({1, 3}));
      (y * y).sum().backward();
      adam.step();
    }
  }
};
}  // namespace

TEST_CASE("a model's state survives a file bit by bit", "[smoke]") {
  const TemporaryFolder folder;
  Linear from({.input_dim = 3, .output_dim = 2}), to({.input_dim = 3, .output_dim = 2});
  save_state(folder.file("model.safetensors"), from, {{"epoch", "7"}});
  const StateMetadata metadata = load_state(folder.file("model.safetensors"), to);
  CHECK(metadata.at("epoch") == "7");
  CHECK(to.weight.to_vector<float>() == from.weight.to_vector<float>());
  CHECK(load_state(folder.file("model.safetensors")).state.size() == 2);
}

TEST_CASE("training resumed from a checkpoint is the same training") {
  const TemporaryFolder folder;
  Run straight, resumed;
  straight.train(3);
  save_checkpoint(folder.file("run"), straight.model, straight.adam, {{"epoch", "3"}});
  CHECK(load_checkpoint(folder.file("run"), resumed.model, resumed.adam).at("epoch") == "3");
  straight.train(4);
  resumed.train(4);
  CHECK(resumed.model.weight.to_vector<float>() == straight.model.weight.to_vector<float>());
  CHECK(resumed.adam.global_step() == 7);
}

TEST_CASE("a checkpoint that does not fit changes nothing") {
  const TemporaryFolder folder;
  Run run;
  run.train(1);
  save_checkpoint(folder.file("run"), run.model, run.adam);
  const std::vector<float> before = run.model.weight.to_vector<float>();
  run.train(1);
  const std::vector<float> after = run.model.weight.to_vector<float>();
  Momentum other(run.model.parameters(), {});
  CHECK_THROWS_AS(load_checkpoint(folder.file("run"), run.model, other), InvalidArgument);
  CHECK(run.model.weight.to_vector<float>() == after);
  Linear small({.input_dim = 1, .output_dim = 1});
  CHECK_THROWS_MATCHES(load_checkpoint(folder.file("run"), small, run.adam), InvalidArgument,
                       Says("load_checkpoint", "mismatched weight"));
  CHECK(run.adam.global_step() == 2);
  save_state(folder.file("model"), run.model);
  CHECK_THROWS_MATCHES(load_checkpoint(folder.file("model"), run.model, run.adam), InvalidArgument,
                       Says("not a checkpoint"));
  CHECK_THROWS_AS(load_state(folder.file("nowhere")), IoError);
  CHECK(before != after);
}
