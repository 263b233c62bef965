#include <dygrad/core/dispatch/detail/thread_local_state.h>

#include <dygrad/autograd/anomaly.h>
#include <dygrad/autograd/grad_mode.h>
#include <dygrad/tests/support/catch.h>

#include <optional>
#include <thread>

using namespace dygrad;

TEST_CASE("the modes of a thread can be taken to another one and go with the guard", "[threads]") {
  std::optional<ThreadLocalState> state;
  {
    const NoGrad no_grad;
    const AnomalyMode anomaly;
    const BackendGuard backend("reference");
    const ExecutionGuard execution({.math_mode = MathMode::strict, .autotune = true});
    state.emplace();
  }
  std::thread([&] {
    {
      const ThreadLocalStateGuard guard(*state);
      CHECK(!is_grad_enabled());
      CHECK(AnomalyMode::is_enabled());
      CHECK(forced_backend()->name() == "reference");
      CHECK(execution_context().math_mode == MathMode::strict);
      CHECK(execution_context().autotune);
    }
    CHECK(is_grad_enabled());
    CHECK(!AnomalyMode::is_enabled());
    CHECK(execution_context().math_mode != MathMode::strict);
  }).join();
  CHECK(is_grad_enabled());
}
