#include <dygrad/core/base/out_of_memory.h>

#include <dygrad/core/base/detail/can_allocate.h>
#include <dygrad/core/base/detail/message.h>
#include <dygrad/core/base/detail/per_thread.h>
#include <dygrad/core/base/detail/thread_counters.h>
#include <dygrad/core/memory/detail/small_blocks.h>
#include <dygrad/core/tensor/tensor.h>
#include <dygrad/tests/support/child_process.h>
#include <dygrad/tests/support/fault_injection.h>

#include <sys/resource.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

using namespace dygrad;
using dygrad::testing::FailingAllocation;
using dygrad::testing::MessageContains;

TEST_CASE("failed allocations of containers become OutOfMemory in the name of the op") {
  const auto fails = [](const auto& f) { return detail::with_out_of_memory("sorting", f); };
  CHECK_THROWS_MATCHES(fails([]() -> int { throw std::bad_alloc(); }), OutOfMemory,
                       MessageContains("sorting: ", "no memory left", "bytes are live", "fix:"));
  CHECK_THROWS_MATCHES(fails([] { return std::vector<char>(std::size_t(-1) / 2 + 1).size(); }), OutOfMemory,
                       MessageContains("sorting: "));
  CHECK(fails([] { return 3; }) == 3);
}

TEST_CASE("failed allocations of tensors name the op, and other errors stay what they are") {
  const auto fails = [](const auto& f) { return detail::with_out_of_memory("sorting", f); };
  CHECK_THROWS_MATCHES(fails([] { return Tensor::empty({std::int64_t{1} << 60}); }), OutOfMemory,
                       MessageContains("sorting: ", "asked for 46116860184273", "fix:"));
  CHECK_THROWS_MATCHES(fails([]() -> int { throw OutOfMemory("conv2d: too much."); }), OutOfMemory,
                       MessageContains("conv2d: too much."));
  CHECK_THROWS_MATCHES(fails([]() -> int { throw ShapeError("shape: no"); }), ShapeError, MessageContains("shape: no"));
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
  CHECK_THROWS_MATCHES(users(OutOfMemory("allocate: no.")), OutOfMemory, MessageContains("inner: no."));
  CHECK_THROWS_AS(detail::with_out_of_memory("op", [] { throw std::bad_alloc(); }), OutOfMemory);
  CHECK(detail::call_user([] { return 3; }) == 3);
}

TEST_CASE("a message that there is no memory for is OutOfMemory") {
  const std::string fact(1000, 'x');
  CHECK(dygrad::testing::for_each_failing_allocation(
            [&] { (void)std::string(Message("an operation with a long name", fact).line("{}", fact).got("{}", fact)); },
            [](std::int64_t, bool) {}) > 0);
}

TEST_CASE("memory that the system would not give is refused before it is needed") {
  CHECK(detail::can_allocate(0));
  CHECK(detail::can_allocate(1, 100));
  CHECK_FALSE(detail::can_allocate(SIZE_MAX / 4));
  CHECK_FALSE(detail::can_allocate(std::size_t{1} << 46, 4));  // more than there are addresses
}

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

/// Runs f with nothing left in the heap, nor to be had for it.
template <class F>
void with_exhausted_heap(const F& f) {
  const rlimit limit{.rlim_cur = std::size_t{64} << 20, .rlim_max = RLIM_INFINITY};
  if (setrlimit(RLIMIT_AS, &limit) != 0) throw std::runtime_error("no limit");
  struct Block {
    Block* next;
  };
  Block* blocks = nullptr;
  for (const std::size_t num_bytes : {1 << 20, 1 << 12, 256, 16}) {
    while (void* const block = std::malloc(num_bytes)) blocks = new (block) Block{blocks};
  }
  f();
  while (blocks) std::free(std::exchange(blocks, blocks->next));
}

/// Whether everything that a thread keeps can be asked for by a thread that has none of it, with no memory left. What
/// earlier errors freed may serve later requests, so requests may succeed as well.
bool fails_with_errors_only() {
  bool outer = false, users = false;
  std::int64_t counted = 0;
  with_exhausted_heap([&] {
    try {
      detail::with_out_of_memory("op", [] { throw std::bad_alloc(); });
    } catch (const OutOfMemory&) {
      outer = true;
    }
    try {
      detail::with_out_of_memory("op", [] { detail::call_user([] { throw std::bad_alloc(); }); });
    } catch (const OutOfMemory&) {
    } catch (const std::bad_alloc&) {
      users = true;
    }
    try {
      detail::deallocate_object(detail::allocate_object(64), 64);
    } catch (const OutOfMemory&) {
    }
    counted = detail::count(detail::Counter::live_nodes, 1);
    detail::count(detail::Counter::live_nodes, -1);
    try {
      detail::per_thread([] { return std::string(100, 'x'); });
    } catch (const std::bad_alloc&) {
    }
  });
  return outer && users && counted >= 1;
}

}  // namespace

TEST_CASE("what a thread keeps is asked for with an exhausted heap, and gives errors only", "[threads]") {
  CHECK(dygrad::testing::exit_status_of_child([] { return fails_with_errors_only() ? 0 : 1; }) == 0);
  CHECK(dygrad::testing::exit_status_of_child([] {
          bool right = false;
          std::thread([&] { right = fails_with_errors_only(); }).join();
          return right ? 0 : 1;
        }) == 0);
}

#endif
