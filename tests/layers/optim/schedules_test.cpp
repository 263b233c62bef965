#include <dygrad/layers/optim/schedules.h>

#include <cmath>
#include <functional>
#include <limits>

#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/layers/optim/reduce_lr_on_plateau.h>
#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {
std::vector<double> rates(Schedule schedule, int count) {
  std::vector<double> list;
  for (int i = 0; i < count; ++i) {
    list.push_back(schedule.lr());
    schedule.step();
  }
  return list;
}

void near(const std::vector<double>& got, const std::vector<double>& expected, double tolerance = 1e-15) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK_THAT(got[i], WithinAbs(expected[i], tolerance));
}
}  // namespace

TEST_CASE("PiecewiseDecay changes at its boundaries", "[smoke]") {
  CHECK(rates(PiecewiseDecay{.boundaries = {2, 3}, .values = {1, .5, .25}}, 5) ==
        std::vector<double>{1, 1, .5, .25, .25});
  CHECK(rates(PiecewiseDecay{.boundaries = {2}, .values = {1, .5}, .begin = 1}, 2) == std::vector<double>{1, .5});
  CHECK(rates(PiecewiseDecay{.boundaries = {2}, .values = {1, .5}, .step = 2}, 2) == std::vector<double>{1, .5});
}

TEST_CASE("CosineDecay is constant within an epoch") {
  near(rates(CosineDecay{.learning_rate = .1, .step_each_epoch = 3, .epochs = 4}, 8),
       {.1, .1, .1, .085355, .085355, .085355, .05, .05}, 4e-7);
}

TEST_CASE("exponential, natural and inverse-time decay") {
  near(rates(ExponentialDecay{.learning_rate = 1, .decay_steps = 2, .decay_rate = .25}, 3), {1, .5, .25});
  near(rates(ExponentialDecay{.learning_rate = 1, .decay_steps = 2, .decay_rate = .25, .staircase = true}, 3),
       {1, 1, .25});
  near(rates(NaturalExpDecay{.learning_rate = 1, .decay_steps = 1, .decay_rate = .5}, 2), {1, std::exp(-.5)});
  near(rates(InverseTimeDecay{.learning_rate = 1, .decay_steps = 1, .decay_rate = 1}, 3), {1, .5, 1. / 3});
}

TEST_CASE("PolynomialDecay ends or cycles") {
  near(rates(PolynomialDecay{.learning_rate = 1, .decay_steps = 2, .end_learning_rate = 0}, 4), {1, .5, 0, 0});
  near(rates(PolynomialDecay{.learning_rate = 1, .decay_steps = 2, .end_learning_rate = .2, .power = 2}, 4),
       {1, .4, .2, .2});
  near(rates(PolynomialDecay{.learning_rate = 1, .decay_steps = 2, .end_learning_rate = 0, .cycle = true}, 5),
       {1, .5, 0, .25, 0});
}

TEST_CASE("NoamDecay rises, then falls") {
  near(rates(NoamDecay{.d_model = 4, .warmup_steps = 4}, 1), {.5 / 8});
  Schedule noam = NoamDecay{.d_model = 4, .warmup_steps = 4, .begin = 9};
  near({noam.lr()}, {.5 / 3});
}

TEST_CASE("a warm-up leads to a rate, or to a schedule whose clock runs from the start") {
  near(rates(LinearLrWarmup{.learning_rate = .5, .warmup_steps = 4, .start_lr = 0, .end_lr = 1}, 5),
       {.25, .5, .75, .5, .5});
  Schedule inner = ExponentialDecay{.learning_rate = 1, .decay_steps = 1, .decay_rate = .5};
  near(rates(LinearLrWarmup{.learning_rate = 5, .warmup_steps = 4, .start_lr = 1, .end_lr = 3}, 5),
       {1.5, 2, 2.5, 5, 5});
  near(rates(LinearLrWarmup{.learning_rate = inner, .warmup_steps = 3, .start_lr = 0, .end_lr = 3}, 4),
       {1, 2, .25, .125});
  CHECK(inner.count() == 4);
}

TEST_CASE("schedules that count epochs") {
  near(rates(StepDecay{.learning_rate = 1, .step_size = 2}, 5), {1, 1, .1, .1, .01});
  near(rates(MultiStepDecay{.learning_rate = 1, .milestones = {1, 3}}, 4), {1, .1, .1, .01});
  near(rates(
           LambdaDecay{.learning_rate = 2, .lr_lambda = [](std::int64_t e) { return 1. / static_cast<double>(e + 1); }},
           3),
       {2, 1, 2. / 3});
  CHECK(Schedule(StepDecay{.learning_rate = 1}).is_per_epoch());
}

TEST_CASE("any function of the count is a schedule, and copies share the count") {
  Schedule mine = [](std::int64_t s) { return 1.0 / static_cast<double>(s + 1); };
  const Schedule copy = mine;
  mine.epoch();
  CHECK(copy.lr() == 0.5);
}

namespace {
struct Halving {
  std::int64_t first = 0;
  LearningRate rate = 1;
  double operator()(std::int64_t s) const { return rate.value() / static_cast<double>(1 << s); }
  ScheduleCounting counting() const { return {.begin = first, .step = 2, .inner = rate.schedule()}; }
};
struct Epochs {
  double operator()(std::int64_t) const { return 1; }
  ScheduleCounting counting() const { return {.per_epoch = true}; }
};
}  // namespace

TEST_CASE("a formula of the user's says how it is counted, and counts by ones from 0 otherwise") {
  CHECK(rates([](std::int64_t s) { return static_cast<double>(s); }, 3) == std::vector<double>{0, 1, 2});
  CHECK(rates(Halving{.first = 1}, 3) == std::vector<double>{.5, .125, .03125});
  Schedule inner = PiecewiseDecay{.boundaries = {1}, .values = {8, 4}};
  Schedule halving = Halving{.rate = inner};
  CHECK(halving.lr() == 8);
  halving.step();
  CHECK(halving.lr() == 1);
  CHECK(halving.state() == std::vector<double>{2, 1});
  CHECK_FALSE(halving.is_per_epoch());
  CHECK(Schedule(Epochs{}).is_per_epoch());
  CHECK_THROWS_MATCHES(Schedule(Halving{.first = std::numeric_limits<std::int64_t>::max()}), InvalidArgument,
                       MessageContains("Halving", "begin"));
}

TEST_CASE("a schedule's state is numbers, wrapped schedules included") {
  const auto make = [] {
    return Schedule(LinearLrWarmup{
        .learning_rate = ExponentialDecay{.learning_rate = 1, .decay_rate = .5}, .warmup_steps = 3, .end_lr = 3});
  };
  Schedule a = make(), b = make();
  for (int i = 0; i < 5; ++i) a.step();
  b.set_state(a.state());
  CHECK(a.state() == std::vector<double>{6, 5});
  CHECK(b.lr() == a.lr());
  CHECK_THROWS_MATCHES(b.set_state({1}), InvalidArgument, MessageContains("Schedule", "expected 2 numbers", "got 1"));
}

TEST_CASE("impossible schedules are refused") {
  CHECK_THROWS_MATCHES(Schedule(PiecewiseDecay{.boundaries = {1}, .values = {1}}), InvalidArgument,
                       MessageContains("PiecewiseDecay", "one more value"));
  CHECK_THROWS_AS(Schedule(PiecewiseDecay{.boundaries = {2, 1}, .values = {1, 2, 3}}), InvalidArgument);
  CHECK_THROWS_AS(Schedule(MultiStepDecay{.milestones = {2, 2}}), InvalidArgument);
  CHECK_THROWS_AS(Schedule(StepDecay{.decay_rate = 1}), InvalidArgument);
  CHECK_THROWS_AS(Schedule(LinearLrWarmup{.start_lr = 1, .end_lr = 0}), InvalidArgument);
  CHECK_THROWS_AS(Schedule(CosineDecay{.epochs = 0}), InvalidArgument);
}

TEST_CASE("ReduceLROnPlateau waits, lowers, and cools down") {
  constexpr std::int64_t kLongest = std::int64_t{1} << 53;
  CHECK_NOTHROW(ReduceLROnPlateau({.learning_rate = 1, .patience = kLongest, .cooldown = kLongest}));
  CHECK_THROWS_AS(ReduceLROnPlateau({.learning_rate = 1, .patience = kLongest + 1}), InvalidArgument);
  CHECK_THROWS_AS(ReduceLROnPlateau({.learning_rate = 1, .cooldown = -1}), InvalidArgument);
  ReduceLROnPlateau plateau({.learning_rate = 1, .decay_rate = .5, .patience = 1, .cooldown = 1, .min_lr = .2});
  std::vector<double> list;
  for (double loss : {1., 1., 1., 1., 1., 1., 1., 1., 1.}) {
    plateau.step(loss);
    list.push_back(plateau.lr());
  }
  // best; bad; worse than patience: lowered; cooling; bad; lowered; cooling; bad; lowered to min_lr.
  CHECK(list == std::vector<double>{1, 1, .5, .5, .5, .25, .25, .25, .2});
  plateau.step(tensor({0.5}));
  CHECK_THROWS_MATCHES(static_cast<Schedule&>(plateau).step(), InvalidArgument, MessageContains("step(loss)"));
  CHECK_THROWS_AS(plateau.step(ones({2})), ShapeError);
}

TEST_CASE("ReduceLROnPlateau leaves a rate that it would change by no more than eps") {
  for (const double eps : {.25, .5, .75}) {
    ReduceLROnPlateau plateau({.learning_rate = 1, .decay_rate = .5, .patience = 0, .eps = eps});
    for (int i = 0; i < 2; ++i) plateau.step(1.);
    CHECK(plateau.lr() == (eps < .5 ? .5 : 1.));
  }
}

TEST_CASE("ReduceLROnPlateau's relative threshold fits losses of either sign") {
  for (const double sign : {1., -1.}) {
    for (const char* mode : {"min", "max"}) {
      ReduceLROnPlateau plateau({.learning_rate = 1, .mode = mode, .patience = 0, .threshold = .1});
      const double better = mode == std::string("min") ? -1 : 1;
      CAPTURE(sign, mode);
      plateau.step(sign * 100);
      plateau.step(sign * 100 + 11 * better);  // by more than a tenth
      CHECK(plateau.lr() == 1);
      plateau.step(sign * 100 + 12 * better);  // by less
      CHECK(plateau.lr() < 1);
    }
  }
}

TEST_CASE("ReduceLROnPlateau has modes, and its state resumes") {
  ReduceLROnPlateau rising(
      {.learning_rate = 1, .mode = "max", .patience = 0, .threshold = .1, .threshold_mode = "abs"});
  rising.step(1);
  rising.step(1.2);
  CHECK(rising.lr() == 1);
  rising.step(1.25);
  CHECK_THAT(rising.lr(), WithinAbs(.1, 1e-16));
  ReduceLROnPlateau resumed(
      {.learning_rate = 1, .mode = "max", .patience = 0, .threshold = .1, .threshold_mode = "abs"});
  resumed.set_state(rising.state());
  CHECK(resumed.lr() == rising.lr());
  CHECK_THROWS_MATCHES(ReduceLROnPlateau({.learning_rate = 1, .mode = "up"}), InvalidArgument, MessageContains("mode"));
}

TEST_CASE("a schedule begins where it has a rate and a count that can be saved") {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max(), kSteps = std::int64_t{1} << 53;
  CHECK_THROWS_MATCHES(Schedule(CosineDecay{.begin = kMax}), InvalidArgument,
                       MessageContains("CosineDecay", "begin is out of range", "got 9223372036854775807", "fix"));
  CHECK_THROWS_AS(Schedule(ExponentialDecay{.begin = -kSteps - 1}), InvalidArgument);
  CHECK_THROWS_MATCHES(Schedule(NoamDecay{.begin = -5}), InvalidArgument,
                       MessageContains("NoamDecay", "begin -5", "got", "fix"));
  CHECK_THROWS_AS(Schedule(PolynomialDecay{.learning_rate = 1, .cycle = true, .begin = -1}), InvalidArgument);
  CHECK_THROWS_AS(Schedule(LinearLrWarmup{.end_lr = 1, .begin = -1}), InvalidArgument);
  CHECK_THROWS_AS(Schedule(ExponentialDecay{.learning_rate = 1, .decay_rate = 0, .begin = -1}), InvalidArgument);
  CHECK_THROWS_AS(ReduceLROnPlateau({.learning_rate = 1, .cooldown = kMax}), InvalidArgument);
  CHECK_THROWS_AS(ReduceLROnPlateau({.learning_rate = 1, .patience = kSteps + 1}), InvalidArgument);
  for (std::int64_t begin : {-kSteps, std::int64_t{-3}, std::int64_t{0}, kSteps}) {
    Schedule cosine = CosineDecay{.learning_rate = 1, .begin = begin};
    CHECK_NOTHROW(cosine.set_state(cosine.state()));
    CHECK(cosine.count() == begin);
  }
}

TEST_CASE("a schedule takes back its own state, whatever rate follows") {
  Schedule rate = LambdaDecay{.learning_rate = 1, .lr_lambda = [](std::int64_t e) { return e == 0 ? 1. : -1.; }};
  const std::vector<double> before = rate.state();
  rate.step();
  CHECK_NOTHROW(rate.set_state(rate.state()));
  CHECK(rate.count() == 1);
  rate.set_state(before);
  CHECK_THROWS_AS(rate.set_state({1}), InvalidArgument);
}

TEST_CASE("an empty function is no schedule") {
  CHECK_THROWS_MATCHES(Schedule(std::function<double(std::int64_t)>{}), InvalidArgument,
                       MessageContains("Schedule", "empty", "fix"));
  CHECK_THROWS_AS(LearningRate(std::function<double(std::int64_t)>{}), InvalidArgument);
  double (*none)(std::int64_t) = nullptr;
  CHECK_THROWS_AS(Schedule(none), InvalidArgument);
}

TEST_CASE("a formula may assign to its own schedule, and lives until its call ends") {
  const auto alive = std::make_shared<bool>(true);
  const std::weak_ptr<bool> watch = alive;
  Schedule schedule = [](std::int64_t) { return 1.0; };
  schedule = [&schedule, watch, kept = std::shared_ptr<bool>(alive)](std::int64_t) {
    schedule = [](std::int64_t) { return 0.5; };
    CHECK(watch.use_count() == 2);  // here and in the test
    return 0.25;
  };
  CHECK(schedule.lr() == 0.25);
  CHECK(schedule.lr() == 0.5);
  CHECK(watch.use_count() == 1);
}

TEST_CASE("a formula that assigns to its own schedule does not mix up states that are loaded") {
  Schedule* own = nullptr;
  Schedule schedule([&own](std::int64_t count) {
    if (own && count == 7)
      *std::exchange(own, nullptr) = Schedule(CosineDecay{.learning_rate = .5, .step_each_epoch = 2, .epochs = 3});
    return count == 7 ? -1. : .1;
  });
  const Schedule first = schedule;  // shares the state
  schedule.step();
  own = &schedule;
  CHECK_THROWS_AS(schedule.set_state({7}), InvalidArgument);
  CHECK(first.count() == 1);
  CHECK(schedule.count() == 0);
  CHECK(schedule.lr() == .5);
}

TEST_CASE("a schedule that was moved from still shares the count") {
  Schedule rate =
      LambdaDecay{.learning_rate = 1, .lr_lambda = [](std::int64_t e) { return 1. / static_cast<double>(e + 1); }};
  Schedule moved = std::move(rate);
  rate.step();
  CHECK(moved.lr() == .5);
  CHECK(rate.state() == moved.state());
  ReduceLROnPlateau plateau({.learning_rate = 1, .decay_rate = .5, .patience = 0});
  ReduceLROnPlateau other = std::move(plateau);
  plateau.step(1);
  plateau.step(1);
  CHECK(other.lr() == .5);
}

TEST_CASE("schedules nest as deep as a stack allows") {
  Schedule rate = [](std::int64_t) { return .1; };
  const auto wrap = [&] {
    rate = LinearLrWarmup{.learning_rate = rate, .warmup_steps = 2, .start_lr = .1, .end_lr = .2};
  };
  for (int depth = 2; depth <= 100; ++depth) wrap();
  CHECK_THROWS_MATCHES(wrap(), InvalidArgument,
                       MessageContains("LinearLrWarmup", "nested", "at most 100", "got 101", "fix:"));
  rate.step();
  CHECK(rate.lr() == .1);
  rate.set_state(rate.state());
}

TEST_CASE("words that ReduceLROnPlateau does not know are named") {
  CHECK_THROWS_MATCHES(
      ReduceLROnPlateau({.learning_rate = 1, .mode = "least"}), InvalidArgument,
      MessageContains("ReduceLROnPlateau: mode", "expected mode = \"min\" or \"max\", got \"least\"", "fix: set mode"));
  CHECK_THROWS_MATCHES(ReduceLROnPlateau({.learning_rate = 1, .threshold_mode = "x"}), InvalidArgument,
                       MessageContains("threshold_mode", "\"rel\" or \"abs\"", "got \"x\""));
}
