#include <dygrad/autograd/debug/graph.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

#include <thread>

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("the graph prints one line per node, newest first, with its inputs") {
  const Tensor x = ones({2, 3}).set_stop_gradient(false);
  const Tensor y = exp(x * x) * tensor({1., 2., 3.});
  const std::string text = graph_text(y);
  CHECK_THAT(text, ContainsSubstring("exp") && ContainsSubstring("leaf") && ContainsSubstring("[2, 3]") &&
                       ContainsSubstring("const"));
  CHECK(text.find("exp") < text.find("leaf"));
  CHECK_THAT(graph_text(ones({2})), ContainsSubstring("no graph"));
}

TEST_CASE("inputs are listed after the ops that use them, also where several threads recorded the graph", "[threads]") {
  Tensor x = ones({2}).set_stop_gradient(false);
  for (int i = 0; i < 20; ++i) x = x * 2.;  // takes many sequence numbers of this thread
  Tensor y;
  std::thread([&] { y = exp(x); }).join();  // takes the first one of another
  const std::string text = graph_text(y);
  CHECK(text.starts_with("%21 "));
  CHECK_THAT(text.substr(0, text.find('\n')), ContainsSubstring("exp") && ContainsSubstring("<- %20"));
}

TEST_CASE("the graph is written in DOT with leaves as boxes") {
  const Tensor x = ones({2}).set_stop_gradient(false);
  const std::string dot = graph_dot(x * x);
  CHECK_THAT(
      dot, StartsWith("digraph") && ContainsSubstring("shape=box") && ContainsSubstring("n0 -> n1") && EndsWith("}\n"));
}

TEST_CASE("printing a graph without memory is OutOfMemory") {
  const Tensor x = ones({2, 3}).set_stop_gradient(false);
  const Tensor y = exp(x * x) * tensor({1., 2., 3.});
  const auto ignored = [](std::int64_t, bool) {};
  CHECK(for_each_failing_allocation([&] { (void)graph_text(y); }, ignored) > 0);
  CHECK(for_each_failing_allocation([&] { (void)graph_dot(y); }, ignored) > 0);
}
