// Sweeps of failing allocations over calls that change state: see sweep().
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <dygrad/core/kernels/copy.h>
#include <dygrad/core/memory/allocator.h>
#include <dygrad/layers/base/state_dict.h>
#include <dygrad/tests/support/catch.h>
#include <dygrad/tests/support/fault_injection.h>

namespace dygrad::testing {

/// Names and bytes of a state.
using Bits = std::vector<std::pair<std::string, std::string>>;

inline Bits bits_of(const StateDict& state) {
  Bits bits;
  for (const auto& [name, tensor] : state) {
    const Tensor dense = kernel::contiguous(tensor);
    const char* bytes = reinterpret_cast<const char*>(dense.impl()->storage->data()) +
                        static_cast<std::size_t>(dense.impl()->offset) * size_of(dense.dtype());
    bits.emplace_back(name, std::string(bytes, static_cast<std::size_t>(dense.num_bytes())));
  }
  return bits;
}

/// Runs act(subject) on fresh subjects with one allocation after another failing. After each failure look(subject) must
/// be what it was before, no memory may be held that was not, and a second try must lead to what an undisturbed run
/// leads to.
template <class Make, class Act, class Look>
std::int64_t sweep(const Make& make, const Act& act, const Look& look) {
  auto undisturbed = make();
  act(*undisturbed);
  const auto expected = look(*undisturbed);
  undisturbed.reset();
  auto subject = make();
  auto before = look(*subject);
  std::int64_t live = allocator_statistics().live_bytes;
  const std::int64_t failures = for_each_failing_allocation([&] { act(*subject); },
                                                            [&](std::int64_t, bool threw) {
                                                              if (threw) {
                                                                CHECK(look(*subject) == before);
                                                                CHECK(allocator_statistics().live_bytes == live);
                                                                act(*subject);
                                                              }
                                                              CHECK(look(*subject) == expected);
                                                              subject.reset();
                                                              subject = make();
                                                              before = look(*subject);
                                                              live = allocator_statistics().live_bytes;
                                                            });
  CHECK(look(*subject) == expected);
  return failures;
}

}  // namespace dygrad::testing
