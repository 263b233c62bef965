// What all optimizers share: skipping, order of clip and decay, rates, state.
#include <dygrad/layers/optim/optimizer.h>

#include <cmath>
#include <limits>

#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/base/parallel.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/creation/random.h>
#include <dygrad/layers/optim/adam.h>
#include <dygrad/layers/optim/momentum.h>
#include <dygrad/layers/optim/schedules.h>
#include <dygrad/layers/optim/sgd.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
Parameter with_grad(double value, double grad, ParamAttr attr = {}) {
  Parameter p(full({2}, value, float64), attr);
  p.set_grad(full({2}, grad, float64));
  return p;
}
double first(const Tensor& x) { return x.at({0}); }
constexpr double kRounding = 1e-15;
}  // namespace

TEST_CASE("an optimizer needs distinct, defined parameters", "[smoke]") {
  const Parameter p(ones({1}), {.name = "twice"});
  CHECK_THROWS_MATCHES(SGD({}, {.learning_rate = 1}), InvalidArgument,
                       MessageContains("SGD", "no parameters", "register_layer"));
  CHECK_THROWS_MATCHES(SGD({p, p}, {.learning_rate = 1}), InvalidArgument,
                       MessageContains("\"twice\" is listed twice"));
  CHECK_THROWS_MATCHES(SGD({Parameter()}, {.learning_rate = 1}), InvalidArgument, MessageContains("undefined"));
}

TEST_CASE("frozen parameters and those without a gradient keep their bits, even under decay") {
  Parameter frozen = with_grad(1, 1), idle(full({2}, 1, float64)), active = with_grad(1, 1);
  frozen.set_trainable(false);
  SGD sgd({frozen, idle, active}, {.learning_rate = 0.5, .regularization = L2Decay{1}});
  const auto updated = sgd.minimize(ones({1}));
  REQUIRE(updated.size() == 1);
  CHECK(updated[0].parameter.is_same(active));
  CHECK(first(updated[0].grad) == 1);
  CHECK(first(frozen) == 1);
  CHECK(first(idle) == 1);
  CHECK(first(active) == 0);
  CHECK_THROWS_AS(sgd.minimize(Tensor()), InvalidArgument);
}

TEST_CASE("minimize neither runs backward nor clears gradients") {
  Parameter p = with_grad(1, 1);
  const Tensor loss = (p * p).sum();
  SGD sgd({p}, {.learning_rate = 0.5});
  sgd.minimize(loss);
  CHECK(first(p) == 0.5);
  sgd.minimize(loss);
  CHECK(first(p) == 0);
  sgd.clear_gradients();
  CHECK(!p.grad().defined());
}

TEST_CASE("gradients accumulate over backward passes until cleared") {
  Parameter p(ones({1}, float64));
  SGD sgd({p}, {.learning_rate = 1});
  (p * 2).backward();
  (p * 3).backward();
  sgd.step();
  CHECK(p.item() == -4);
  sgd.clear_grad();
  sgd.step();
  CHECK(p.item() == -4);
}

TEST_CASE("an update counts as a change in place") {
  Parameter p = with_grad(1, 1);
  const Tensor y = (p * p).sum();
  const std::uint64_t before = p.version();
  SGD({p}, {.learning_rate = 1}).step();
  CHECK(p.version() > before);
  CHECK_THROWS_AS(y.backward(), GraphError);
}

TEST_CASE("each parameter has its own factor on the rate") {
  Parameter slow = with_grad(1, 1, {.learning_rate = 0.1}), still = with_grad(1, 1, {.learning_rate = 0});
  SGD({slow, still}, {.learning_rate = 1}).step();
  CHECK_THAT(first(slow), WithinAbs(0.9, kRounding));
  CHECK(first(still) == 1);
}

TEST_CASE("decay adds to the gradient, and a parameter's own beats the optimizer's") {
  const auto after = [](double value, Regularizer own, Regularizer common) {
    Parameter p = with_grad(value, 0, {.regularizer = own});
    SGD({p}, {.learning_rate = 1, .regularization = common}).step();
    return first(p);
  };
  CHECK(after(2, {}, L2Decay{0.25}) == 1.5);
  CHECK(after(2, {}, L1Decay{0.25}) == 1.75);
  CHECK(after(-2, {}, L1Decay{0.25}) == -1.75);
  CHECK(after(0, {}, L1Decay{0.25}) == 0);
  CHECK(after(2, L2Decay{0.5}, L1Decay{0.25}) == 1);
}

TEST_CASE("clipping by value, by norm and by global norm") {
  const auto after = [](GradientClip clip) {
    Parameter a(tensor({0., 0.}, float64)), b(tensor({0.}, float64));
    a.set_grad(tensor({-3., 4.}, float64));
    b.set_grad(tensor({12.}, float64));
    SGD({a, b}, {.learning_rate = 1, .grad_clip = clip}).step();
    return std::vector<double>{-a.at({0}), -a.at({1}), -b.at({0})};
  };
  const auto near = [](const std::vector<double>& got, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < got.size(); ++i) CHECK_THAT(got[i], WithinAbs(expected[i], 4e-15));
  };
  near(after({}), {-3, 4, 12});
  near(after(GradientClipByValue{.max = 3.5}), {-3, 3.5, 3.5});
  near(after(GradientClipByValue{.max = 5, .min = 0}), {0, 4, 5});
  near(after(GradientClipByValue{.max = 2, .min = 2}), {2, 2, 2});
  near(after(GradientClipByNorm{6}), {-3, 4, 6});
  near(after(GradientClipByNorm{1}), {-.6, .8, 1});
  near(after(GradientClipByGlobalNorm{6.5}), {-1.5, 2, 6});  // the norm is 13
  near(after(GradientClipByGlobalNorm{20}), {-3, 4, 12});
  CHECK_THROWS_MATCHES(GradientClip(GradientClipByNorm{0}), InvalidArgument, MessageContains("clip_norm > 0"));
  CHECK_THROWS_AS(GradientClip(GradientClipByValue{.max = -1}), InvalidArgument);
}

TEST_CASE("clipping by norm neither overflows nor loses small gradients") {
  const auto clipped = [](double size, DType dtype, GradientClip clip) {
    Parameter a(zeros({2}, dtype)), b(zeros({1}, dtype));
    a.set_grad(tensor({-3., 4.}, dtype) * size);
    b.set_grad(tensor({12.}, dtype) * size);
    SGD({a, b}, {.learning_rate = 1, .grad_clip = clip}).step();
    return std::vector<double>{-a.at({0}), -a.at({1}), -b.at({0})};
  };
  const auto near = [](const std::vector<double>& got, const std::vector<double>& expected, DType dtype) {
    const double epsilon = dtype == float32 ? 0x1p-23 : 0x1p-52;
    for (std::size_t i = 0; i < got.size(); ++i)
      CHECK(std::abs(got[i] - expected[i]) <= 8 * epsilon * std::abs(expected[i]));
  };
  for (const double size : {1e-307, 1e-200, 1e-160, 1e-30, 1., 1e30, 1e150, 1e200, 1e306}) {
    for (const DType dtype : {float32, float64}) {
      if (dtype == float32 && (size < 1e-35 || size > 1e36)) continue;
      CAPTURE(size, name_of(dtype));
      near(clipped(size, dtype, GradientClipByGlobalNorm{6.5 * size}), {-1.5 * size, 2 * size, 6 * size}, dtype);
      near(clipped(size, dtype, GradientClipByGlobalNorm{20 * size}), {-3 * size, 4 * size, 12 * size}, dtype);
      near(clipped(size, dtype, GradientClipByNorm{size}), {-.6 * size, .8 * size, size}, dtype);
    }
  }
  near(clipped(1e306, float64, GradientClipByGlobalNorm{1}), {-3. / 13, 4. / 13, 12. / 13}, float64);
  CHECK(clipped(1e-320, float64, GradientClipByGlobalNorm{1}) == clipped(1e-320, float64, {}));
  CHECK(clipped(0, float64, GradientClipByGlobalNorm{1}) == std::vector<double>{0, 0, 0});
}

TEST_CASE("clipping comes before decay and leaves out those that do not want it") {
  Parameter clipped = with_grad(2, 100), free_one = with_grad(0, 3, {.need_clip = false});
  SGD({clipped, free_one},
      {.learning_rate = 1, .regularization = L2Decay{0.5}, .grad_clip = GradientClipByValue{.max = 1}})
      .step();
  CHECK(first(clipped) == 0);  // 2 - (1 + 0.5 * 2)
  CHECK(first(free_one) == -3);
}

TEST_CASE("the global norm does not depend on threads") {
  const Tensor g = uniform({300'001}, -1, 1);
  const auto after = [&](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    Parameter p(zeros({300'001}));
    p.set_grad(g);
    SGD({p}, {.learning_rate = 1, .grad_clip = GradientClipByGlobalNorm{0.1}}).step();
    set_num_threads(before);
    return p.to_vector<float>();
  };
  CHECK(after(1) == after(3));
}

TEST_CASE("NaN flows into the parameters") {
  Parameter p = with_grad(1, std::numeric_limits<double>::quiet_NaN());
  SGD({p}, {.learning_rate = 1, .grad_clip = GradientClipByValue{.max = 1}}).step();
  CHECK(std::isnan(first(p)));
}

TEST_CASE("the rate is set by the user or by a schedule, not by both") {
  Parameter p = with_grad(0, 1);
  SGD fixed({p}, {.learning_rate = 0.5});
  fixed.set_lr(0.25);
  CHECK(fixed.get_lr() == 0.25);
  CHECK_THROWS_AS(fixed.set_lr(-1), InvalidArgument);
  Schedule rate = ExponentialDecay{.learning_rate = 1, .decay_rate = 0.5};
  SGD driven({p}, {.learning_rate = rate});
  CHECK_THROWS_MATCHES(driven.set_lr(1), InvalidArgument, MessageContains("SGD", "a schedule drives"));
  driven.step();
  CHECK(driven.get_lr() == 1);
  rate.step();
  CHECK(driven.get_lr() == 0.5);
  SGD advancing({p}, {.learning_rate = rate, .advance_schedule = true});
  advancing.step();
  CHECK(rate.lr() == 0.25);
}

TEST_CASE("a resumed optimizer goes on bit by bit") {
  const auto make = [] { return Parameter(tensor({1., -2., 3.}), {}); };
  Schedule rate = CosineDecay{.learning_rate = 0.1, .step_each_epoch = 1, .epochs = 9};
  Schedule other_rate = CosineDecay{.learning_rate = 0.1, .step_each_epoch = 1, .epochs = 9};
  Parameter p = make(), q = make(), never = make(), never_too = make();
  Adam a({p, never}, {.learning_rate = rate}), b({q, never_too}, {.learning_rate = other_rate});
  const auto train = [](Parameter& x, Adam& adam, Schedule& schedule) {
    x.clear_gradient();
    (x * x * x).sum().backward();
    adam.step();
    schedule.step();
  };
  for (int i = 0; i < 3; ++i) train(p, a, rate);
  q.set_value(p);
  b.set_state_dict(a.state_dict().clone());
  CHECK(b.global_step() == 3);
  CHECK(b.get_lr() == a.get_lr());
  for (int i = 0; i < 3; ++i) {
    train(p, a, rate);
    train(q, b, other_rate);
  }
  CHECK(p.to_vector<float>() == q.to_vector<float>());
  CHECK(a.state_dict().contains("0.moment2"));
  CHECK(!a.state_dict().contains("1.moment2"));
}

TEST_CASE("a state that does not fit is refused as a whole") {
  Parameter p = with_grad(1, 1);
  Adam adam({p}, {});
  adam.step();
  StateDict state = adam.state_dict().clone();
  state.erase("0.moment1");
  state.set("0.moment2", zeros({3}, float64));
  state.insert("1.step", zeros({1}));
  CHECK_THROWS_MATCHES(adam.set_state_dict(state), InvalidArgument,
                       MessageContains("set_state_dict", "Adam", "missing 0.moment1", "unexpected 1.step",
                                       "mismatched 0.moment2: expected float64 [2], got float64 [3]"));
  Momentum momentum({p}, {});
  CHECK_THROWS_AS(momentum.set_state_dict(adam.state_dict()), InvalidArgument);
  Adam driven({p}, {.learning_rate = ExponentialDecay{.learning_rate = 1}});
  CHECK_THROWS_MATCHES(driven.set_state_dict(adam.state_dict()), InvalidArgument,
                       MessageContains("mismatched schedule", "without schedule"));
}

namespace {
/// Runs of an optimizer with a schedule and one without, and what to write into their states.
struct Loaded {
  Parameter p = with_grad(1, 1);
  Schedule rate = ExponentialDecay{.learning_rate = 0.1};
  Adam driven{{p}, {.learning_rate = rate}}, fixed{{p}, {}};
  Loaded() {
    driven.step();
    fixed.step();
  }
  /// The words of the error, after which nothing has changed.
  static std::string refusal(Adam& adam, const std::string& name, const Tensor& value) {
    StateDict state = adam.state_dict().clone();
    const StateDict before = state.clone();
    state.set(name, value);
    std::string words;
    try {
      adam.set_state_dict(state);
    } catch (const InvalidArgument& error) {
      words = error.what();
    }
    for (const auto& [key, tensor] : adam.state_dict())
      CHECK(tensor.to_vector<double>() == before.at(key).to_vector<double>());
    return words;
  }
};
}  // namespace

TEST_CASE("a step beyond the counts that a state holds is refused, and changes nothing") {
  constexpr std::int64_t kSteps = std::int64_t{1} << 53;
  for (const char* name : {"global_step", "0.step"}) {
    CAPTURE(name);
    Parameter p(tensor({1., 2.}));
    Adam adam({p});
    p.set_grad(ones({2}));
    adam.step();
    StateDict state = adam.state_dict();
    state.set(name, tensor(kSteps - 1, int64));
    adam.set_state_dict(state);
    adam.step();
    const std::vector<float> before = p.to_vector<float>();
    CHECK_THROWS_MATCHES(
        adam.step(), InvalidArgument,
        MessageContains("Adam: the count of steps would leave its range.", "at most 9007199254740992", "fix"));
    CHECK_THROWS_MATCHES(adam.minimize(ones({})), InvalidArgument, MessageContains("Adam: the count of steps"));
    CHECK(p.to_vector<float>() == before);
    CHECK(adam.compare_dict(adam.state_dict()).ok());
  }
}

TEST_CASE("every number of a loaded state has its range") {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max(), kSteps = std::int64_t{1} << 53;
  Loaded run;
  const auto count = [](std::int64_t n) { return tensor(n, int64); };
  const auto says = [](const std::string& words, std::initializer_list<std::string> parts) {
    INFO(words);
    for (const std::string& part : parts) CHECK(words.find(part) != std::string::npos);
  };
  for (std::int64_t bad : {std::int64_t{-1}, -kMax - 1, kMax, kSteps + 1}) {
    says(Loaded::refusal(run.driven, "global_step", count(bad)),
         {"set_state_dict", "global_step: expected 0 <= count <= 9007199254740992, got " + std::to_string(bad), "fix"});
    says(Loaded::refusal(run.driven, "0.step", count(bad)), {"0.step: expected 1 <=", std::to_string(bad)});
  }
  says(Loaded::refusal(run.driven, "0.step", count(0)), {"0.step: expected 1 <="});
  for (double bad : {kNaN, kInfinity, -kInfinity, 1e300, -1., 0.5, 9007199254740994.}) {
    says(Loaded::refusal(run.driven, "schedule", tensor({bad}, float64)),
         {"schedule: count: expected a whole number in [0,", "ExponentialDecay"});
  }
  for (double bad : {kNaN, kInfinity, -kInfinity, -1.}) {
    says(Loaded::refusal(run.fixed, "learning_rate", tensor(bad, float64)),
         {"learning_rate: expected a finite number >= 0, got"});
    says(Loaded::refusal(run.fixed, "0.moment2", tensor({1., bad}, float64)),
         {"0.moment2: expected finite numbers >= 0, got"});
  }
  for (double bad : {kNaN, kInfinity, -kInfinity})
    says(Loaded::refusal(run.fixed, "0.moment1", tensor({bad, 1.}, float64)),
         {"0.moment1: expected finite numbers, got"});
  StateDict fine = run.fixed.state_dict().clone();
  fine.set("0.moment1", tensor({-1., 1.}, float64));
  fine.set("global_step", count(kSteps));
  run.fixed.set_state_dict(fine);
  CHECK(run.fixed.global_step() == kSteps);
}

TEST_CASE("a state whose schedule would then give no rate is refused") {
  Schedule rate = [](std::int64_t s) { return s < 5 ? 0.1 : std::numeric_limits<double>::quiet_NaN(); };
  CHECK_THROWS_MATCHES(rate.set_state({5}), InvalidArgument, MessageContains("Schedule", "count 5", "got nan", "fix"));
  CHECK(rate.count() == 0);
  Parameter p = with_grad(1, 1);
  Adam adam({p}, {.learning_rate = rate});
  StateDict state = adam.state_dict().clone();
  state.set("schedule", tensor({7.}, float64));
  state.set("global_step", tensor(std::int64_t{7}, int64));
  CHECK_THROWS_AS(adam.set_state_dict(state), InvalidArgument);
  CHECK(adam.global_step() == 0);
  CHECK(rate.count() == 0);
}

TEST_CASE("a gradient may lie in memory that the update writes") {
  const auto values = [](const Tensor& x) { return x.to_vector<double>(); };
  using Values = std::vector<double>;
  {  // another parameter's value
    const Tensor all = arange(0, 4, 1, float64);
    Parameter p(all.slice(0, 0, 2)), q(all.slice(0, 2, 4));
    q.set_grad(p.detach());
    p.set_grad(ones({2}, float64));
    SGD({p, q}, {.learning_rate = 1}).step();
    CHECK(values(p) == Values{-1, 0});
    CHECK(values(q) == Values{2, 2});
  }
  {  // the parameter's own, one element further
    const Tensor all = arange(0, 40, 1, float64);
    Parameter p(all.slice(0, 1, 40));
    p.set_grad(all.slice(0, 0, 39));
    SGD({p}, {.learning_rate = 1}).step();
    CHECK(values(p) == Values(39, 1));
  }
  {  // memory that is borrowed twice
    std::vector<double> memory{0, 1, 2, 3};
    Parameter p(from_memory(memory.data(), {2}, float64)), q(from_memory(memory.data() + 2, {2}, float64));
    q.set_grad(from_memory(memory.data(), {2}, float64));
    p.set_grad(ones({2}, float64));
    SGD({p, q}, {.learning_rate = 1}).step();
    CHECK(memory == Values{-1, 0, 2, 2});
  }
  {  // an accumulator, whose handle the state gives away
    Parameter p = with_grad(0, 1), q = with_grad(0, 1);
    Momentum momentum({p, q}, {.learning_rate = 1, .momentum = 1});
    momentum.step();  // velocities of 1
    q.set_grad(momentum.state_dict().at("0.velocity"));
    momentum.step();
    CHECK(values(p) == Values{-3, -3});
    CHECK(values(q) == Values{-3, -3});
  }
}

TEST_CASE("parameters that share elements each get their whole update") {
  const Tensor all = zeros({2, 2}, float64);
  Parameter p(all), columns(all.transpose(0, 1)), gaps(all.slice(1, 0, 1));
  for (Parameter* one : {&p, &columns, &gaps}) one->set_grad(ones_like(*one));
  SGD({p, columns, gaps}, {.learning_rate = 1}).step();
  CHECK(all.to_vector<double>() == std::vector<double>{-3, -2, -3, -2});
}

TEST_CASE("clipping by norm keeps all digits of float32 gradients of any size") {
  const double epsilon = 0x1p-23;
  for (const double size : {1e38, 2e38, 3e38}) {
    for (const double clip_norm : {1., 1e-3, 1e-8, 1e-30}) {
      for (const bool global : {false, true}) {
        CAPTURE(size, clip_norm, global);
        Parameter p(zeros({2}));
        p.set_grad(full({2}, size));
        SGD({p},
            {.learning_rate = 1,
             .grad_clip = global ? GradientClip(GradientClipByGlobalNorm{clip_norm}) : GradientClipByNorm{clip_norm}})
            .step();
        CHECK(std::abs(first(p) + clip_norm / std::sqrt(2.)) <= 2 * epsilon * clip_norm);
      }
    }
  }
  Parameter p(zeros({2}, float64));
  p.set_grad(full({2}, 1e308, float64));
  SGD({p}, {.learning_rate = 1, .grad_clip = GradientClipByNorm{1e-9}}).step();
  CHECK(std::abs(first(p) + 1e-9 / std::sqrt(2.)) <= 8 * 0x1p-52 * 1e-9);
}
