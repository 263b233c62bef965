#include <dygrad/autograd/backward.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/autograd/node.h>
#include <dygrad/autograd/ops/elementwise.h>
#include <dygrad/autograd/ops/reduce.h>
#include <dygrad/core/factories.h>

#include <array>
#include <thread>

#include "../support/catch.h"

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

TEST_CASE("several threads run backward over one retained graph, and every gradient is counted") {
  const Tensor x = full({100}, 2, float64).set_stop_gradient(false);
  const Tensor y = sum(exp(x * 0.) * x * x);
  constexpr int kThreads = 4;
  constexpr int kPasses = 25;
  in_threads(kThreads, [&](int) {
    for (int i = 0; i < kPasses; ++i) y.backward({}, {.retain_graph = true});
  });
  CHECK(x.grad().to_vector<double>() == std::vector<double>(100, 4. * kThreads * kPasses));
}

TEST_CASE("threads record and train on their own graphs without disturbing each other") {
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

TEST_CASE("a graph recorded by several threads runs as one") {
  const Tensor x = full({1}, 3, float64).set_stop_gradient(false);
  std::array<Tensor, 4> parts;
  in_threads(4, [&](int i) { parts[static_cast<std::size_t>(i)] = x * x * static_cast<double>(i); });
  (parts[0] + parts[1] + parts[2] + parts[3]).backward();
  CHECK(x.grad().item() == 6 * (0 + 1 + 2 + 3));
}

TEST_CASE("the grad mode of one thread is not that of another") {
  const NoGrad no_grad;
  bool enabled = false;
  in_threads(1, [&](int) { enabled = is_grad_enabled(); });
  CHECK(enabled);
  CHECK_FALSE(is_grad_enabled());
}
