#include <dygrad/core/base/out_of_memory.h>

#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/tensor/tensor.h>
#include <dygrad/tests/support/fault_injection.h>

#include <string>
#include <vector>

using namespace dygrad;
using dygrad::testing::FailingAllocation;
using dygrad::testing::Says;

TEST_CASE("failed allocations of containers become OutOfMemory in the name of the op") {
  const auto fails = [](const auto& f) { return detail::with_out_of_memory("sorting", f); };
  CHECK_THROWS_MATCHES(fails([]() -> int { throw std::bad_alloc(); }), OutOfMemory,
                       Says("sorting: ", "no memory left", "bytes are live", "fix:"));
  CHECK_THROWS_MATCHES(fails([] { return std::vector<char>(std::size_t(-1) / 2 + 1).size(); }), OutOfMemory,
                       Says("sorting: "));
  CHECK(fails([] { return 3; }) == 3);
}

TEST_CASE("failed allocations of tensors name the op, and other errors stay what they are") {
  const auto fails = [](const auto& f) { return detail::with_out_of_memory("sorting", f); };
  CHECK_THROWS_MATCHES(fails([] { return Tensor::empty({std::int64_t{1} << 60}); }), OutOfMemory,
                       Says("sorting: ", "asked for 46116860184273", "fix:"));
  CHECK_THROWS_MATCHES(fails([]() -> int { throw OutOfMemory("conv2d: too much."); }), OutOfMemory,
                       Says("conv2d: too much."));
  CHECK_THROWS_MATCHES(fails([]() -> int { throw ShapeError("shape: no"); }), ShapeError, Says("shape: no"));
}

TEST_CASE("without memory for a message there is one that was made before") {
  for (int n = 1; n < 12; ++n) {
    std::string text;
    text.reserve(4096);
    bool threw = false;
    try {
      const FailingAllocation failing(n);
      detail::fail_out_of_memory("op");
    } catch (const OutOfMemory& error) {
      threw = true;
      text = error.what();
    }
    INFO(n << ": " << text);
    CHECK(threw);
    CHECK((text.starts_with("op: ") || text.starts_with("allocate: ")));
  }
}

TEST_CASE("what a user's function throws goes through as it is, however deep") {
  const auto users = [](const auto& error) {
    detail::with_out_of_memory(
        "outer", [&] { detail::with_out_of_memory("inner", [&] { detail::call_user([&] { throw error; }); }); });
  };
  CHECK_THROWS_AS(users(std::bad_alloc()), std::bad_alloc);
  CHECK_THROWS_AS(users(std::length_error("mine")), std::length_error);
  CHECK_THROWS_MATCHES(users(OutOfMemory("allocate: no.")), OutOfMemory, Says("inner: no."));
  CHECK_THROWS_AS(detail::with_out_of_memory("op", [] { throw std::bad_alloc(); }), OutOfMemory);
  CHECK(detail::call_user([] { return 3; }) == 3);
}

TEST_CASE("a message that there is no memory for is OutOfMemory") {
  const std::string fact(1000, 'x');
  CHECK(dygrad::testing::for_each_failing_allocation(
            [&] { (void)std::string(Message("an operation with a long name", fact).line("{}", fact).got("{}", fact)); },
            [](std::int64_t, bool) {}) > 0);
}
