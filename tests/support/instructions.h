// Counts the instructions that a function executes: a figure that repeats where nanoseconds do not.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

namespace dygrad::testing {

/// Instructions of one call of `f` in a copy of this process, which the system runs step by step; about 20,000 steps a
/// second. `f` is called once before, unseen. Nothing if this is no x86-64 Linux, or the system forbids it.
std::optional<std::int64_t> count_instructions(const std::function<void()>& f);

}  // namespace dygrad::testing
