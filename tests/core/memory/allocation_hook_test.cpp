#include <dygrad/core/memory/detail/allocation_hook.h>

#include <dygrad/core/creation/factories.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/tests/support/fault_injection.h>

namespace {

using namespace dygrad;
using namespace dygrad::testing;

TEST_CASE("each allocation of a thread can be made to fail, small and large") {
  for (const std::int64_t extent : {1, 100, 100000}) {
    (void)zeros({extent});  // what a thread makes once
    const std::int64_t live = allocator_statistics().live_bytes;
    const std::int64_t failures = for_each_failing_allocation([&] { (void)zeros({extent}); },
                                                              [&](std::int64_t, bool threw) {
                                                                CHECK(threw);
                                                                CHECK(allocator_statistics().live_bytes == live);
                                                              });
    CHECK(failures >= 2);  // the memory, and the object behind the tensor
  }
}

TEST_CASE("operator new can be made to fail") {
  const FailingAllocation failing(1);
  CHECK_THROWS_AS(::operator delete(::operator new(100)), std::bad_alloc);  // a call that no compiler leaves out
  CHECK(failing.happened());
}

TEST_CASE("after the hook, blocks that were kept for reuse serve again") {
  (void)zeros({4});
  {
    const FailingAllocation failing(0);
    (void)zeros({4});
  }
  CHECK(zeros({4}).shape() == Shape{4});
}

}  // namespace
