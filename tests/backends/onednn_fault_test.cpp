// Allocations of oneDNN's own that fail.
#include <dygrad/autograd/ops/conv2d/conv2d.h>
#include <dygrad/autograd/ops/elementwise/elementwise.h>
#include <dygrad/autograd/ops/reduce/reduce.h>
#include <dygrad/core/creation/factories.h>
#include <dygrad/core/dispatch/backend.h>
#include <dygrad/tests/support/child_process.h>
#include <dygrad/tests/support/fault_injection.h>

#include <algorithm>

#if defined(__unix__)

using namespace dygrad;

TEST_CASE("a problem that oneDNN had no memory for is computed when it is tried again") {
  const auto names = backend_names();
  if (std::find(names.begin(), names.end(), "onednn") == names.end()) {
    WARN("skipped: this build has no oneDNN");
    SUCCEED();
    return;
  }
  enum Outcome { kNotReached, kRight, kLeaked, kBrokenForGood };
  const auto outcome_of = [](std::int64_t n) {
    const Tensor x = ones({2, 3, 9, 9}), w = ones({3, 4, 3, 3});
    const auto compute = [&] { return conv2d_transpose(x, w, {}, {.stride = 2}); };
    const Tensor expected = [&] {
      const BackendGuard guard("reference");
      return compute();
    }();
    bool happened = false;
    try {
      const BackendGuard guard("onednn");
      const dygrad::testing::FailingAllocation failing(n);
      try {
        (void)compute();
      } catch (const Error&) {
      }
      happened = failing.happened();
    } catch (...) {
      return kLeaked;
    }
    try {
      const BackendGuard guard("onednn");
      (void)compute();
    } catch (const BackendError&) {  // oneDNN is not asked for it again
    } catch (...) {
      return kBrokenForGood;
    }
    try {
      if (!all(abs(compute() - expected) < 1e-4)) return kBrokenForGood;
    } catch (...) {
      return kBrokenForGood;
    }
    return happened ? kRight : kNotReached;
  };
  int status = kRight;
  std::int64_t n = 1;
  for (; status == kRight; ++n) status = dygrad::testing::exit_status_of_child([&] { return outcome_of(n); });
  INFO("allocation " << n - 1 << " of the first call failed");
  CHECK(status == kNotReached);
  CHECK(n > 3);  // something was allocated, and could fail
}

#endif
