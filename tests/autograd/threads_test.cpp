#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/autograd/ops/shape/shape.h>
#include <dygrad/core/base/error.h>
#include <dygrad/core/creation/factories.h>

#include <array>
#include <atomic>
#include <barrier>
#include <thread>

#include <dygrad/tests/support/catch.h>

using namespace dygrad;
using namespace dygrad::testing;

namespace {

template <class F>
void in_threads(int count, F f) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(f, i);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("several threads run backward over one retained graph, and every gradient is counted", "[threads]") {
  const Tensor x = full({100}, 2, float64).set_stop_gradient(false);
  const Tensor y = sum(exp(x * 0.) * x * x);
  constexpr int kThreads = 4;
  constexpr int kPasses = 25;
  in_threads(kThreads, [&](int) {
    for (int i = 0; i < kPasses; ++i) y.backward({}, {.retain_graph = true});
  });
  CHECK(x.grad().to_vector<double>() == std::vector<double>(100, 4. * kThreads * kPasses));
}

TEST_CASE("threads record and train on their own graphs without disturbing each other", "[threads]") {
  const std::int64_t nodes = Node::live_count();
  std::array<double, 4> result{};
  in_threads(4, [&](int i) {
    Tensor w = full({1}, 0., float64).set_stop_gradient(false);
    for (int step = 0; step < 200; ++step) {
      const Tensor error = w - static_cast<double>(i);
      (error * error).backward();
      const NoGrad no_grad;
      w.set_value(w.detach() - w.grad() * 0.1);
      w.clear_gradient();
    }
    result[static_cast<std::size_t>(i)] = w.item();
  });
  for (int i = 0; i < 4; ++i) CHECK(result[static_cast<std::size_t>(i)] == Approx(i).margin(1e-9));
  CHECK(Node::live_count() == nodes);
}

TEST_CASE("a graph recorded by several threads runs as one", "[threads]") {
  const Tensor x = full({1}, 3, float64).set_stop_gradient(false);
  std::array<Tensor, 4> parts;
  in_threads(4, [&](int i) { parts[static_cast<std::size_t>(i)] = x * x * static_cast<double>(i); });
  (parts[0] + parts[1] + parts[2] + parts[3]).backward();
  CHECK(x.grad().item() == 6 * (0 + 1 + 2 + 3));
}

TEST_CASE("the grad mode of one thread is not that of another", "[threads]") {
  const NoGrad no_grad;
  bool enabled = false;
  in_threads(1, [&](int) { enabled = is_grad_enabled(); });
  CHECK(enabled);
  CHECK_FALSE(is_grad_enabled());
}

TEST_CASE("threads that walk one retained graph may each keep and drop the gradient of an intermediate", "[threads]") {
  const Tensor x = full({1}, 2, float64).set_stop_gradient(false);
  const Tensor h = x * 3.;
  const Tensor y = h * 5.;
  constexpr int kThreads = 4, kPasses = 3000;
  std::atomic<int> wrong{0};
  in_threads(kThreads, [&](int i) {
    Tensor mine = h;
    for (int pass = 0; pass < kPasses; ++pass) {
      mine.retain_grad();
      y.backward({}, {.retain_graph = true});
      const Tensor kept = mine.grad();
      wrong += kept.defined() && kept.item() != 5;
      if (i == 0) mine.clear_gradient();
    }
  });
  CHECK(wrong == 0);
  CHECK(x.grad().item() == 15 * kThreads * kPasses);
}

TEST_CASE("hooks may be added and removed while other threads walk the graph", "[threads]") {
  const Tensor x = full({1}, 1, float64).set_stop_gradient(false);
  const Tensor h = x * 2.;
  const Tensor y = h * h;
  constexpr int kRounds = 2000;
  std::atomic<int> calls{0};
  in_threads(4, [&](int i) {
    for (int round = 0; round < kRounds; ++round) {
      if (i < 2) {
        y.backward({}, {.retain_graph = true});
        continue;
      }
      HookHandle handles[] = {
          h.register_hook([&](const Tensor& g) { return ++calls, g * 1.; }),
          x.register_hook([&](const Tensor&) { return ++calls, Tensor(); }),
          on_grad_ready(x, [&](const Tensor& g) { calls += g.defined(); }),
      };
      for (HookHandle& handle : handles) handle.remove();
    }
  });
  CHECK(x.grad().item() == 2 * kRounds * 8);
  calls = 0;
  y.backward();
  CHECK(calls == 0);
}

namespace {

/// Lets `count` threads run pass(thread) over a fresh graph of `make()` at once, `rounds` times; check() follows each.
template <class Make, class Pass, class Check>
void race(int count, int rounds, const Make& make, const Pass& pass, const Check& check) {
  std::barrier<> together(count);
  in_threads(count, [&](int i) {
    for (int round = 0; round < rounds; ++round) {
      if (i == 0) make();
      together.arrive_and_wait();
      pass(i);
      together.arrive_and_wait();
      if (i == 0) check();
    }
  });
}

}  // namespace

TEST_CASE("of several passes that free one graph, at most one gets its values and the others an error", "[threads]") {
  constexpr int kThreads = 3;
  Tensor x, y;
  std::atomic<int> succeeded{0}, failed{0};
  int wrong = 0;
  race(
      kThreads, 2000,
      [&] {
        succeeded = failed = 0;
        x = full({1}, 2, float64).set_stop_gradient(false);
        const Tensor h = exp(x * 0.) * x;
        const Tensor parts[] = {h, x, h};
        y = sum(concat(parts, 0) * concat(parts, 0));
      },
      [&](int) {
        try {
          y.backward();
          ++succeeded;
        } catch (const GraphError&) {
          ++failed;
        }
      },
      [&] {
        // No pass succeeds where each got some values and then met a node whose values another one had.
        const bool right = succeeded == 1 ? x.grad().item() == 3 * 4 : succeeded == 0 && !x.grad().defined();
        wrong += !right || succeeded + failed != kThreads;
      });
  CHECK(wrong == 0);
}

TEST_CASE("a pass that keeps the graph and one that frees it may meet, and neither reads what is gone", "[threads]") {
  Tensor x, y;
  std::atomic<int> succeeded{0};
  int wrong = 0;
  race(
      3, 2000,
      [&] {
        succeeded = 0;
        x = full({1}, 2, float64).set_stop_gradient(false);
        y = x * x;
        for (int i = 0; i < 10; ++i) y = exp(y * 0.) * y;
      },
      [&](int i) {
        try {
          y.backward({}, {.retain_graph = i != 0});
          ++succeeded;
        } catch (const GraphError&) {
        }
      },
      [&] { wrong += (x.grad().defined() ? x.grad().item() : 0) != 4. * succeeded; });
  CHECK(wrong == 0);
}

TEST_CASE("recorded passes of several threads add up in one leaf", "[threads]") {
  Tensor x = full({2}, 3, float64).set_stop_gradient(false);
  const Tensor y = sum(x * x * x);
  in_threads(3, [&](int) {
    for (int pass = 0; pass < 20; ++pass) y.backward({}, {.create_graph = true});
  });
  CHECK(x.grad().to_vector<double>() == std::vector<double>(2, 60 * 27.));
  x.clear_gradient();  // which cuts the cycle
}
