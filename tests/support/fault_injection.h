// Makes allocations fail, one after another, so that a test sees what each failure leaves behind.
#pragma once

#include <cstdint>

#include <dygrad/core/base/error.h>
#include <dygrad/core/memory/detail/allocation_hook.h>
#include <dygrad/tests/support/catch.h>

namespace dygrad::testing {

/// While alive, the n-th allocation (counted from 1) by this thread fails: tensor memory and recorded nodes with
/// OutOfMemory, operator new with std::bad_alloc. Later ones succeed. Not posix_memalign: oneDNN writes through null
/// where that fails, which backends/onednn/runtime.h prevents for a process that has no memory left.
class FailingAllocation final : public detail::AllocationHook {
 public:
  explicit FailingAllocation(std::int64_t n) noexcept;
  ~FailingAllocation() override;

  /// Whether the n-th was reached.
  bool happened() const noexcept { return count_ >= n_; }
  /// Allocations so far.
  std::int64_t count() const noexcept { return count_; }

  bool allows(std::size_t) noexcept override { return ++count_ != n_; }

 private:
  std::int64_t n_, count_ = 0;
};

/// Runs f() with its first allocation failing, then with its second, and so on, until one run needs fewer. A run whose
/// allocation failed must either end well or throw OutOfMemory; check(n, threw) then looks at what it left behind.
/// Returns how many allocations were made to fail. What failed runs leave made, such as a cache, takes no allocation in
/// later ones, so that the last allocations of a first call are not reached: sweep again where there is such a thing.
template <class F, class Check>
std::int64_t for_each_failing_allocation(F&& f, Check&& check) {
  for (std::int64_t n = 1;; ++n) {
    bool happened = false, threw = false;
    std::string other;
    try {
      const FailingAllocation failing(n);
      struct Note {
        const FailingAllocation& of;
        bool& to;
        ~Note() { to = of.happened(); }
      } note{failing, happened};
      f();
    } catch (const OutOfMemory&) {
      threw = true;
    } catch (const std::exception& error) {
      other = error.what();
    }
    INFO("allocation " << n << " failed");
    REQUIRE(other == "");  // anything else than OutOfMemory has leaked
    if (!happened) {
      REQUIRE_FALSE(threw);
      return n - 1;
    }
    check(n, threw);
  }
}

}  // namespace dygrad::testing
