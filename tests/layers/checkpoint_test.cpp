#include <dygrad/layers/checkpoint.h>

#include <limits>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/containers/sequential.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/schedules.h>
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

TEST_CASE("names out of a file are printable in errors, which end in a fix") {
  using namespace std::string_literals;
  const TemporaryFolder folder;
  Run run;
  StateDict state = run.model.state_dict();
  state.insert("weight\0x\x1b[2J\n"s, ones({1}));
  save_state(folder.file("odd"), state);
  CHECK_THROWS_MATCHES(load_state(folder.file("odd"), run.model), InvalidArgument,
                       MessageContains(R"(unexpected weight\x00x\x1b[2J\n)", "\n  fix: "));
  CHECK_THROWS_MATCHES(run.model.set_dict(state), InvalidArgument, MessageContains(R"(weight\x00x)", "\n  fix: "));
  state.erase("weight");
  state.erase("bias");
  save_state(folder.file("odd"), state);
  CHECK_THROWS_MATCHES(load_checkpoint(folder.file("odd"), run.model, run.adam), InvalidArgument,
                       MessageContains(R"(got "weight\x00x)", "\n  fix: "));
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

TEST_CASE("training with dropout resumed from a checkpoint draws the same masks") {
  const TemporaryFolder folder;
  const auto make = [](std::uint64_t seed) {
    const auto net = std::make_shared<Sequential>();
    net->append<Linear>({.input_dim = 3, .output_dim = 8});
    net->append("drop", make_layer<Dropout>({.seed = seed}));
    net->append<Linear>({.input_dim = 8, .output_dim = 2});
    return net;
  };
  for (const std::uint64_t seed : {7, 0}) {  // of its own, or the default generator's
    const auto net = make(seed), resumed = make(seed == 0 ? 0 : 99);
    Adam adam(net->parameters()), other(resumed->parameters());
    const auto train = [](Sequential& model, Adam& optimizer) {
      optimizer.clear_gradients();
      square(model(ones({4, 3}))).sum().backward();
      optimizer.step();
    };
    train(*net, adam);
    save_checkpoint(folder.file("run"), *net, adam);
    for (int i = 0; i < 3; ++i) train(*net, adam);
    manual_seed(123);
    load_checkpoint(folder.file("run"), *resumed, other);
    for (int i = 0; i < 3; ++i) train(*resumed, other);
    for (const auto& [name, tensor] : net->state_dict())
      CHECK(resumed->state_dict().at(name).to_vector<float>() == tensor.to_vector<float>());
  }
}

TEST_CASE("generators of a checkpoint are checked, and may be missing altogether") {
  const TemporaryFolder folder;
  Sequential net{{"linear", make_layer<Linear>({.input_dim = 3, .output_dim = 2})},
                 {"drop", make_layer<Dropout>({.seed = 7})}};
  Adam adam(net.parameters());
  save_checkpoint(folder.file("run"), net, adam);
  const StateDict saved = load_state(folder.file("run")).state;
  CHECK(saved.contains("generator.default"));
  CHECK(saved.contains("generator.model.drop.generator"));
  const Generator::State before = default_generator().state();
  const auto load_without = [&](std::initializer_list<const char*> names) {
    StateDict state = saved;
    for (const char* name : names) state.erase(name);
    save_state(folder.file("changed"), state);
    load_checkpoint(folder.file("changed"), net, adam);
  };
  CHECK_THROWS_MATCHES(load_without({"generator.model.drop.generator"}), InvalidArgument,
                       MessageContains("load_checkpoint", "missing generator.model.drop.generator"));
  manual_seed(5);
  load_without({"generator.default", "generator.model.drop.generator"});  // as checkpoints once were
  CHECK(default_generator().state() == Generator::State{5, 0});
  load_without({});
  CHECK(default_generator().state() == before);
}

TEST_CASE("errors of loading say which loader to use, and which optimizer") {
  const TemporaryFolder folder;
  Run run;
  run.train(1);
  save_checkpoint(folder.file("run"), run.model, run.adam);
  CHECK_THROWS_MATCHES(load_state(folder.file("run"), run.model), InvalidArgument,
                       MessageContains("load_state", "the file is a checkpoint", "fix: use load_checkpoint"));
  Momentum momentum(run.model.parameters());
  CHECK_THROWS_MATCHES(load_checkpoint(folder.file("run"), run.model, momentum), InvalidArgument,
                       MessageContains("the state does not fit Momentum"));
  Adam driven(run.model.parameters(), {.learning_rate = ExponentialDecay{.learning_rate = 0.1, .decay_rate = 0.5}});
  CHECK_THROWS_MATCHES(load_checkpoint(folder.file("run"), run.model, driven), InvalidArgument,
                       MessageContains("optimizer.schedule: expected the state of", "got a rate without schedule") &&
                           !MessageContains("missing") && !MessageContains("unexpected"));
  save_checkpoint(folder.file("driven"), run.model, driven);
  CHECK_THROWS_MATCHES(
      load_checkpoint(folder.file("driven"), run.model, run.adam), InvalidArgument,
      MessageContains("optimizer.learning_rate: expected a rate without schedule", "got the state of a schedule") &&
          !MessageContains("missing") && !MessageContains("unexpected"));
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
                       MessageContains("load_checkpoint", "mismatched model.weight"));
  CHECK(run.adam.global_step() == 2);
  save_state(folder.file("model"), run.model);
  CHECK_THROWS_MATCHES(load_checkpoint(folder.file("model"), run.model, run.adam), InvalidArgument,
                       MessageContains("not a checkpoint", "got \"weight\""));
  CHECK_THROWS_AS(load_state(folder.file("nowhere")), IoError);
  CHECK(before != after);
}

TEST_CASE("errors of loading name the file, the entry, and what was expected") {
  const TemporaryFolder folder;
  Run run;
  run.train(1);
  save_checkpoint(folder.file("run"), run.model, run.adam);
  const auto change = [&](const std::string& name, const Tensor& value) {
    StateDict state = load_state(folder.file("run")).state;
    state.set(name, value);
    save_state(folder.file("changed"), state);
  };
  const auto load = [&] { load_checkpoint(folder.file("changed"), run.model, run.adam); };
  change("optimizer.0.step", tensor(std::int64_t{-1}, int64));
  CHECK_THROWS_MATCHES(
      load(), InvalidArgument,
      MessageContains("load_checkpoint", folder.file("changed"), "optimizer.0.step: expected 1 <=", "got -1"));
  change("optimizer.0.moment1", zeros({2, 2}));
  CHECK_THROWS_MATCHES(
      load(), InvalidArgument,
      MessageContains(folder.file("changed"), "optimizer.0.moment1: expected float32 [3, 2], got float32 [2, 2]"));
  change("model.weight", zeros({3, 2}, float64));
  CHECK_THROWS_MATCHES(
      load(), InvalidArgument,
      MessageContains(folder.file("changed"), "weight: expected float32 [3, 2], got float64 [3, 2]", "fix"));
  save_state(folder.file("model"), StateDict({{"weight", zeros({3})}, {"bias", zeros({2})}}));
  CHECK_THROWS_MATCHES(
      load_state(folder.file("model"), run.model), InvalidArgument,
      MessageContains("load_state", folder.file("model"), "weight: expected float32 [3, 2], got float32 [3]"));
  CHECK(run.adam.global_step() == 1);
}

TEST_CASE("a load that fails in the optimizer leaves the model, and the other way round") {
  const TemporaryFolder folder;
  Linear model({.input_dim = 3, .output_dim = 2});
  Schedule rate = [](std::int64_t s) { return s == 3 ? -1. : 0.1; };
  Momentum optimizer(model.parameters(), {.learning_rate = rate});
  save_checkpoint(folder.file("run"), model, optimizer);
  StateDict state = load_state(folder.file("run")).state;
  state.set("model.weight", ones({3, 2}));
  state.set("optimizer.schedule", tensor({3.}, float64));
  save_state(folder.file("changed"), state);
  const std::vector<float> before = model.weight.to_vector<float>();
  CHECK_THROWS_AS(load_checkpoint(folder.file("changed"), model, optimizer), InvalidArgument);
  CHECK(model.weight.to_vector<float>() == before);
  CHECK(rate.count() == 0);
}

TEST_CASE("a checkpoint that could not be loaded is not saved") {
  const TemporaryFolder folder;
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  Run run;
  run.train(1);
  save_checkpoint(folder.file("run"), run.model, run.adam);
  const std::vector<float> saved = run.model.weight.to_vector<float>();
  run.model.weight.set_grad(full({3, 2}, 1e22));  // whose square is infinite
  run.adam.step();
  CHECK_THROWS_MATCHES(save_checkpoint(folder.file("run"), run.model, run.adam), InvalidArgument,
                       MessageContains("save_checkpoint", folder.file("run"),
                                       "mismatched optimizer.0.moment2: expected finite numbers >= 0, got inf", "fix"));
  Run resumed;
  load_checkpoint(folder.file("run"), resumed.model, resumed.adam);
  CHECK(resumed.model.weight.to_vector<float>() == saved);

  Momentum momentum(run.model.parameters(), {});
  run.model.bias.set_grad(full({2}, kNaN));
  momentum.step();
  CHECK_THROWS_MATCHES(save_checkpoint(folder.file("none"), run.model, momentum), InvalidArgument,
                       MessageContains("optimizer.1.velocity: expected finite numbers, got nan"));
  Schedule rate = [](std::int64_t s) { return s == 0 ? 0.1 : -1.; };
  Momentum driven(run.model.parameters(), {.learning_rate = rate});
  save_checkpoint(folder.file("driven"), run.model, driven);
  rate.step();
  CHECK_THROWS_MATCHES(save_checkpoint(folder.file("none"), run.model, driven), InvalidArgument,
                       MessageContains("expected a finite number >= 0", "got -1"));
  CHECK_THROWS_AS(load_state(folder.file("none")), IoError);
}
