// What the tape costs, in instructions: they repeat from run to run, and a careless line on the path of every op shows.
// Limits are a quarter above what g++ 12 makes of today's code.
#include <functional>
#include <vector>

#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/hooks.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/instructions.h>

using namespace dygrad;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(NDEBUG)
constexpr bool kCounts = false;  // this is not the code that users run
#else
constexpr bool kCounts = true;
#endif

constexpr int kOps = 32;

struct Inputs {
  Tensor x = full({1}, 1.5), b = full({1}, 0.75);
  Inputs() { x.set_stop_gradient(false); }
};

void check_cost(
    const char* what, double limit, int per, const std::function<void()>& f,
    const std::function<void()>& without = [] {}) {
  const auto with = kCounts ? testing::count_instructions(f) : std::nullopt;
  const auto base = kCounts ? testing::count_instructions(without) : std::nullopt;
  if (!with || !base) {
    WARN("skipped: needs an optimised build, x86-64 Linux, and leave to trace a process of one's own");
    SUCCEED();
    return;
  }
  const double each = static_cast<double>(*with - *base) / per;
  INFO(what << ": " << each << " instructions, limit " << limit);
  CHECK(each > 0);
  CHECK(each <= limit);
}

Tensor chain(Tensor y, const Tensor& b, Tensor (*op)(const Tensor&, const Tensor&)) {
  for (int i = 0; i < kOps; ++i) y = op(y, b);
  return y;
}

}  // namespace

TEST_CASE("an op that is not recorded costs few instructions") {
  const Inputs in;
  check_cost("add", 790, kOps, [&] {
    for (int i = 0; i < kOps; ++i) (void)add(in.b, in.b);
  });
}

TEST_CASE("a recorded op costs few instructions, freeing included") {
  const Inputs in;
  check_cost("add", 1100, kOps, [&] { (void)chain(in.x, in.b, add); });
  check_cost("mul", 1160, kOps, [&] { (void)chain(in.x, in.b, mul); });
}

TEST_CASE("a node's backward costs few instructions, its arithmetic included") {
  Inputs in;
  struct Case {
    const char* name;
    Tensor (*op)(const Tensor&, const Tensor&);
    double limit;
  };
  for (const auto& [name, op, limit] : {Case{"add", add, 1120}, Case{"mul", mul, 1890}}) {
    const auto forward = [&, op = op] { (void)chain(in.x, in.b, op); };
    const auto both = [&, op = op] {
      chain(in.x, in.b, op).backward();
      in.x.clear_gradient();
    };
    check_cost(name, limit, kOps, both, forward);
  }
}

TEST_CASE("a backward pass over one op costs few instructions") {
  Inputs in;
  check_cost(
      "mul", 3480, 1,
      [&] {
        mul(in.x, in.b).backward();
        in.x.clear_gradient();
      },
      [&] { (void)mul(in.x, in.b); });
}

// Each instruction is a stop of the process, so counts are small.
TEST_CASE("four times the hooks, inputs or uses take about four times the instructions", "[slow]") {
  constexpr std::int64_t kFew = 40;
  const auto check_growth = [](const char* what, const std::function<std::function<void()>(std::int64_t)>& of) {
    const auto few = kCounts ? testing::count_instructions(of(kFew)) : std::nullopt;
    const auto many = kCounts ? testing::count_instructions(of(4 * kFew)) : std::nullopt;
    if (!few || !many) {
      SUCCEED("skipped, as above");
      return;
    }
    INFO(what << ": " << *few << " and " << *many << " instructions");
    CHECK(*many < 7 * *few);  // n log n: 5; squares of more than a few instructions would dominate
  };
  const Tensor x = full({1}, 1.5).set_stop_gradient(false);
  check_growth("hooks", [&](std::int64_t count) {
    return [=] {
      std::vector<HookHandle> handles;
      for (std::int64_t i = 0; i < count; ++i) {
        handles.push_back(x.register_hook([](const Tensor&) { return Tensor(); }));
      }
      for (HookHandle& handle : handles) handle.remove();
    };
  });
  check_growth("inputs of grad", [&](std::int64_t count) {
    return [=] {
      std::vector<Tensor> inputs;
      for (std::int64_t i = 0; i < count; ++i) inputs.push_back(full({1}, 1).set_stop_gradient(false));
      const Tensor outputs[] = {concat(inputs, 0)};
      (void)grad(outputs, inputs);
    };
  });
  check_growth("uses of one tensor", [&](std::int64_t count) {
    return [=] {
      Tensor y = x;
      for (std::int64_t i = 0; i < count; ++i) y = y + x;
      (void)grad(y, x);
    };
  });
}
