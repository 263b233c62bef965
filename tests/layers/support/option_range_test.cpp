// Numbers that rules, clips, schedules and initializers are made of: each is checked for NaN and its range.
#include <cmath>
#include <limits>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/layers/activation.h>
#include <dygrad/layers/batch_norm.h>
#include <dygrad/layers/dropout.h>
#include <dygrad/layers/init/assign.h>
#include <dygrad/layers/init/distributions.h>
#include <dygrad/layers/init/fan.h>
#include <dygrad/layers/linear.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/reduce_lr_on_plateau.h>
#include <dygrad/layers/optim/schedules.h>
#include <dygrad/layers/optim/sgd.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Makes something with each of the numbers that nothing accepts, and with those given.
template <class Make>
void refuses(const char* what, const Make& make, std::initializer_list<double> others = {}) {
  std::vector<double> numbers{kNaN, -kInfinity, -1};
  numbers.insert(numbers.end(), others);
  for (double number : numbers) {
    INFO(what << " = " << number);
    CHECK_THROWS_MATCHES(make(number), InvalidArgument, MessageContains("expected", "got", "fix"));
  }
}

std::vector<Parameter> one(DType dtype = float64) { return {Parameter(ones({1}, dtype))}; }

}  // namespace

TEST_CASE("options of update rules are checked", "[smoke]") {
  refuses("SGD's rate", [](double v) { return SGD(one(), {.learning_rate = v}).get_lr(); }, {kInfinity});
  refuses("momentum", [](double v) { Momentum(one(), {.momentum = v}); }, {kInfinity, 1.5});
  refuses("Adam's beta1", [](double v) { Adam(one(), {.beta1 = v}); }, {kInfinity, 1});
  refuses("Adam's beta2", [](double v) { Adam(one(), {.beta2 = v}); }, {kInfinity, 1});
  refuses("Adam's epsilon", [](double v) { Adam(one(), {.epsilon = v}); }, {kInfinity, 0});
  refuses("AdamW's beta1", [](double v) { AdamW(one(), {.beta1 = v}); }, {kInfinity, 1});
  refuses("AdamW's beta2", [](double v) { AdamW(one(), {.beta2 = v}); }, {kInfinity, 1});
  refuses("AdamW's epsilon", [](double v) { AdamW(one(), {.epsilon = v}); }, {kInfinity, 0});
  refuses("weight_decay", [](double v) { AdamW(one(), {.weight_decay = v}); }, {kInfinity});
  refuses("L1Decay", [](double v) { SGD(one(), {.regularization = L1Decay{v}}); }, {kInfinity});
  refuses("L2Decay", [](double v) { SGD(one(), {.regularization = L2Decay{v}}); }, {kInfinity});
  refuses("by norm", [](double v) { SGD(one(), {.grad_clip = GradientClipByNorm{v}}); }, {kInfinity, 0});
  refuses("by global norm", [](double v) { SGD(one(), {.grad_clip = GradientClipByGlobalNorm{v}}); }, {kInfinity, 0});
  refuses("by value", [](double v) { SGD(one(), {.grad_clip = GradientClipByValue{.max = v}}); });
  for (double min : {kNaN, kInfinity, -1.})
    CHECK_THROWS_AS(GradientClip(GradientClipByValue{.max = -2, .min = min}), InvalidArgument);
  CHECK_THROWS_AS(GradientClip(GradientClipByValue{.max = kInfinity, .min = kInfinity}), InvalidArgument);
  CHECK_NOTHROW(GradientClip(GradientClipByValue{.max = kInfinity}));
  refuses("the factor", [](double v) { return Parameter(ones({1}), {.learning_rate = v}).name(); }, {kInfinity});
  refuses("its setter", [](double v) { one()[0].set_learning_rate(v); }, {kInfinity});
  refuses("a layer's",
          [](double v) { Linear({.input_dim = 1, .output_dim = 1, .param_attr = ParamAttr{.learning_rate = v}}); },
          {kInfinity});
}

TEST_CASE("an epsilon that a parameter's dtype rounds to zero is refused") {
  CHECK_NOTHROW(Adam(one(float64), {.epsilon = 1e-60}));
  CHECK_THROWS_MATCHES(Adam(one(float32), {.epsilon = 1e-60}), InvalidArgument,
                       MessageContains("Adam", "epsilon", "float32", "got epsilon = 1e-60", "fix"));
  CHECK_THROWS_AS(AdamW(one(float32), {.epsilon = 1e-60}), InvalidArgument);
}

TEST_CASE("a zero gradient does not move a parameter") {
  for (AdamEpsilon form : {AdamEpsilon::corrected, AdamEpsilon::uncorrected}) {
    for (DType dtype : {float32, float64}) {
      std::vector<Parameter> p = one(dtype);
      p[0].set_grad(zeros({1}, dtype));
      Adam adam(p, {.epsilon = dtype == float32 ? 2e-45 : 5e-324, .epsilon_form = form});
      for (int i = 0; i < 3; ++i) adam.step();
      CHECK(p[0].item() == 1);
    }
  }
}

TEST_CASE("fields of schedules are checked") {
  const auto made = [](auto formula) { return Schedule(formula).lr(); };
  refuses("values", [&](double v) { made(PiecewiseDecay{.values = {v}}); }, {kInfinity});
  refuses("cosine", [&](double v) { made(CosineDecay{.learning_rate = v}); }, {kInfinity});
  refuses("start_lr", [&](double v) { made(LinearLrWarmup{.start_lr = v, .end_lr = 1}); }, {kInfinity});
  refuses("end_lr", [&](double v) { made(LinearLrWarmup{.end_lr = v}); }, {kInfinity});
  refuses("exponential", [&](double v) { made(ExponentialDecay{.learning_rate = v}); }, {kInfinity});
  refuses("its rate", [&](double v) { made(ExponentialDecay{.decay_rate = v}); }, {kInfinity});
  refuses("its steps", [&](double v) { made(ExponentialDecay{.decay_steps = v}); }, {kInfinity, 0});
  refuses("natural", [&](double v) { made(NaturalExpDecay{.learning_rate = v}); }, {kInfinity});
  refuses("its rate", [&](double v) { made(NaturalExpDecay{.decay_rate = v}); }, {kInfinity});
  refuses("its steps", [&](double v) { made(NaturalExpDecay{.decay_steps = v}); }, {kInfinity, 0});
  refuses("inverse", [&](double v) { made(InverseTimeDecay{.learning_rate = v}); }, {kInfinity});
  refuses("its rate", [&](double v) { made(InverseTimeDecay{.decay_rate = v}); }, {kInfinity});
  refuses("its steps", [&](double v) { made(InverseTimeDecay{.decay_steps = v}); }, {kInfinity, 0});
  refuses("polynomial", [&](double v) { made(PolynomialDecay{.learning_rate = v}); }, {kInfinity});
  refuses("its end", [&](double v) { made(PolynomialDecay{.end_learning_rate = v}); }, {kInfinity});
  refuses("power", [&](double v) { made(PolynomialDecay{.power = v}); }, {kInfinity});
  refuses("noam", [&](double v) { made(NoamDecay{.learning_rate = v}); }, {kInfinity});
  refuses("d_model", [&](double v) { made(NoamDecay{.d_model = v}); }, {kInfinity, 0});
  refuses("its steps", [&](double v) { made(NoamDecay{.warmup_steps = v}); }, {kInfinity, 0});
  refuses("step", [&](double v) { made(StepDecay{.learning_rate = v}); }, {kInfinity});
  refuses("its rate", [&](double v) { made(StepDecay{.decay_rate = v}); }, {kInfinity, 1});
  refuses("multi-step", [&](double v) { made(MultiStepDecay{.learning_rate = v}); }, {kInfinity});
  refuses("its rate", [&](double v) { made(MultiStepDecay{.decay_rate = v}); }, {kInfinity, 1});
  refuses("lambda",
          [&](double v) { made(LambdaDecay{.learning_rate = v, .lr_lambda = [](std::int64_t) { return 1.; }}); },
          {kInfinity});
  using Plateau = ReduceLROnPlateau;
  refuses("plateau", [](double v) { (void)Plateau({.learning_rate = v}); }, {kInfinity});
  refuses("its decay", [](double v) { (void)Plateau({.learning_rate = 1, .decay_rate = v}); }, {kInfinity, 1});
  refuses("threshold", [](double v) { (void)Plateau({.learning_rate = 1, .threshold = v}); }, {kInfinity});
  refuses("min_lr", [](double v) { (void)Plateau({.learning_rate = 1, .min_lr = v}); }, {kInfinity});
  refuses("eps", [](double v) { (void)Plateau({.learning_rate = 1, .eps = v}); }, {kInfinity});
}

TEST_CASE("numbers of layers and initializers are checked") {
  refuses("BatchNorm's momentum", [](double v) { BatchNorm({.num_channels = 1, .momentum = v}); }, {kInfinity, 1.5});
  refuses("BatchNorm's epsilon", [](double v) { BatchNorm({.num_channels = 1, .epsilon = v}); }, {kInfinity, 0});
  refuses("Dropout's p", [](double v) { Dropout({.p = v}); }, {kInfinity, 1.5});
  refuses("the deviation", [](double v) { (void)normal({2}, 0, v); }, {kInfinity, 1e39});
  refuses("the truncated one", [](double v) { (void)truncated_normal({2}, 0, v); }, {kInfinity, 1e39});
  refuses("a probability", [](double v) { (void)bernoulli({2}, v); }, {kInfinity, 1.5});
  const auto init = [](auto rule) { (void)Linear({.input_dim = 1, .output_dim = 1, .param_attr = rule}); };
  refuses("scale", [&](double v) { init(Normal{.scale = v}); }, {kInfinity});
  refuses("fan_in", [&](double v) { init(Xavier{.fan_in = v}); }, {kInfinity});
  refuses("fan_out", [&](double v) { init(Xavier{.fan_out = v}); }, {kInfinity});
  refuses("fan_in", [&](double v) { init(MSRA{.fan_in = v}); }, {kInfinity});
  for (double v : {kNaN, kInfinity, -kInfinity}) {
    CHECK_THROWS_AS(init(Constant{v}), InvalidArgument);
    CHECK_THROWS_AS(init(Uniform{.low = v}), InvalidArgument);
    CHECK_THROWS_AS(init(Uniform{.high = v}), InvalidArgument);
    CHECK_THROWS_AS(init(Normal{.loc = v}), InvalidArgument);
    CHECK_THROWS_AS(init(TruncatedNormal{.loc = v}), InvalidArgument);
    CHECK_THROWS_AS(LeakyReLU({.alpha = v}), InvalidArgument);
    CHECK_THROWS_AS(ELU({.alpha = v}), InvalidArgument);
  }
}

TEST_CASE("a schedule's rate that is out of range stops the update before anything changes") {
  Parameter p(ones({1}, float64)), q(ones({1}, float64), {.learning_rate = 10});
  p.set_grad(ones({1}, float64));
  q.set_grad(ones({1}, float64));
  for (double bad : {kNaN, kInfinity, -kInfinity, -0.5}) {
    const auto formula = [bad](std::int64_t s) { return s < 2 ? 0.5 : bad; };
    Schedule rate = formula;
    Momentum optimizer({p, q}, {.learning_rate = rate, .advance_schedule = true});
    optimizer.step();
    optimizer.step();
    const StateDict before = optimizer.state_dict().clone();
    const double value = p.item();
    CHECK_THROWS_MATCHES(
        optimizer.step(), InvalidArgument,
        MessageContains("learning_rate", "schedule a lambda", "step 2", "finite number >= 0", "got", "fix"));
    CHECK_THROWS_AS(optimizer.minimize(p), InvalidArgument);
    CHECK_THROWS_AS(optimizer.get_lr(), InvalidArgument);
    CHECK(p.item() == value);
    CHECK(rate.count() == 2);
    CHECK(optimizer.global_step() == 2);
    CHECK(optimizer.state_dict().at("0.velocity").item() == before.at("0.velocity").item());
  }
  SGD named({p}, {.learning_rate = LambdaDecay{.learning_rate = 1, .lr_lambda = [](std::int64_t) { return kNaN; }}});
  CHECK_THROWS_MATCHES(named.step(), InvalidArgument, MessageContains("LambdaDecay", "step 0", "got nan"));
  SGD wrapped({p}, {.learning_rate = LinearLrWarmup{.learning_rate = [](std::int64_t) { return -1.; }, .end_lr = 1}});
  CHECK_THROWS_MATCHES(wrapped.step(), InvalidArgument, MessageContains("a lambda", "got -1"));
}

TEST_CASE("a rate that is infinite as float32 or with a parameter's factor is refused") {
  Parameter small(ones({1})), fast(ones({1}, float64), {.learning_rate = 1e200});
  small.set_grad(zeros({1}));
  fast.set_grad(zeros({1}, float64));
  CHECK_THROWS_MATCHES(SGD({small}, {.learning_rate = 1e300}).step(), InvalidArgument,
                       MessageContains("SGD", "learning rate", small.name(), "float32", "1e+300", "fix"));
  CHECK_THROWS_MATCHES(SGD({fast}, {.learning_rate = 1e200}).step(), InvalidArgument, MessageContains(fast.name()));
  AdamW decaying({fast}, {.learning_rate = 1e10, .weight_decay = 1e300});
  CHECK_THROWS_AS(decaying.step(), InvalidArgument);
  CHECK(small.item() == 1);
  CHECK(fast.item() == 1);
}

TEST_CASE("a schedule does not count past what its state can hold") {
  Schedule rate = ExponentialDecay{.learning_rate = 1, .begin = (std::int64_t{1} << 53) - 1};
  rate.step();
  CHECK_THROWS_MATCHES(rate.step(), InvalidArgument, MessageContains("count", "9007199254740992"));
  CHECK(rate.count() == std::int64_t{1} << 53);
  Schedule leaping = ExponentialDecay{.learning_rate = 1, .step = std::numeric_limits<std::int64_t>::max()};
  CHECK_THROWS_AS(leaping.step(), InvalidArgument);
  CHECK(leaping.count() == 0);
}

TEST_CASE("a user's function that throws leaves the optimizer as it was") {
  Parameter p(ones({1}, float64)), q(ones({1}, float64));
  p.set_grad(ones({1}, float64));
  q.set_grad(ones({1}, float64));
  bool broken = true;
  AdamW adam({p, q}, {.learning_rate = 0.5, .apply_decay_param_fun = [&](const std::string& name) {
                        if (broken && name == q.name()) throw IoError("not this one");
                        return true;
                      }});
  CHECK_THROWS_AS(adam.step(), IoError);
  CHECK(p.item() == 1);
  CHECK(adam.global_step() == 0);
  CHECK(!adam.state_dict().contains("0.step"));
  broken = false;
  adam.step();
  CHECK(p.item() == q.item());
}

TEST_CASE("numbers that a parameter's dtype makes infinite are refused") {
  const auto says = MessageContains("infinite in a parameter's dtype", "float32", "got 1e+39", "fix");
  CHECK_THROWS_MATCHES(SGD(one(float32), {.regularization = L2Decay{1e39}}), InvalidArgument, says);
  CHECK_THROWS_AS(SGD(one(float32), {.regularization = L1Decay{1e39}}), InvalidArgument);
  CHECK_NOTHROW(SGD(one(float64), {.regularization = L2Decay{1e39}}));
  CHECK_THROWS_MATCHES(SGD(one(float32), {.grad_clip = GradientClipByValue{1e39}}), InvalidArgument, says);
  CHECK_THROWS_AS(SGD(one(float32), {.grad_clip = GradientClipByValue{.max = 1, .min = -1e39}}), InvalidArgument);
  CHECK_NOTHROW(SGD(one(float32), {.grad_clip = GradientClipByValue{.max = kInfinity, .min = -1}}));
  CHECK_THROWS_MATCHES(Parameter(ones({1}), {.regularizer = L2Decay{1e39}}), InvalidArgument,
                       MessageContains("Parameter", "finite as float32", "got 1e+39"));
  CHECK_THROWS_MATCHES(one(float32)[0].set_regularizer(L1Decay{1e39}), InvalidArgument,
                       MessageContains("set_regularizer"));
  CHECK_NOTHROW(one(float64)[0].set_regularizer(L1Decay{1e39}));
  CHECK_THROWS_AS(Adam(one(float32), {.epsilon = 1e39}), InvalidArgument);
  const auto norm = [](double epsilon, DType dtype) {
    BatchNorm({.num_channels = 1, .epsilon = epsilon, .dtype = dtype});
  };
  CHECK_THROWS_MATCHES(norm(1e-60, float32), InvalidArgument, MessageContains("BatchNorm", "as float32", "got 1e-60"));
  CHECK_THROWS_AS(norm(1e300, float32), InvalidArgument);
  CHECK_THROWS_AS(norm(kInfinity, float64), InvalidArgument);
  CHECK_NOTHROW(norm(1e-60, float64));
  const auto init = [](auto rule) { (void)Linear({.input_dim = 2, .output_dim = 1, .param_attr = rule}); };
  CHECK_THROWS_MATCHES(init(Constant{1e300}), InvalidArgument,
                       MessageContains("Constant", "finite value, as float32", "1e+300"));
  CHECK_THROWS_AS(init(Uniform{.low = -3e38, .high = 3e38}), InvalidArgument);
  CHECK_THROWS_AS(init(Normal{.scale = 1e300}), InvalidArgument);
  CHECK_THROWS_AS(init(TruncatedNormal{.loc = 1e300}), InvalidArgument);
  CHECK_THROWS_MATCHES(init(Assign{full({2, 1}, 1e300, float64)}), InvalidArgument,
                       MessageContains("Assign", "float32"));
  CHECK_NOTHROW(init(Assign{full({2, 1}, kInfinity)}));
}
