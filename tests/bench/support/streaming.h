// What the elementwise programs, ours and the peer's, share: the size of the tensors, the table.
#pragma once

#include <fmt/core.h>

#include <string>
#include <vector>

#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/table.h>

namespace dygrad::bench {

/// Tensors are kSide x kSide float32: 64 MiB, which no cache holds.
inline constexpr std::int64_t kSide = 4096;
/// Bytes of one of them.
inline constexpr double kTensorBytes = 4.0 * kSide * kSide;

/// A case whose call reads and writes `arrays` whole tensors in all.
inline Case streaming_case(const std::string& name, double arrays, std::function<void()> call) {
  return {name, [=] { return Ready{call, {{"bytes", arrays * kTensorBytes}}}; }};
}

inline double gb_per_second(const Result& r) { return r.facts["bytes"].get<double>() / r.timing.median / 1e9; }

/// `copy_rate` measures the plain loop, in bytes a second: each case is followed by it, so that both see the same
/// machine.
inline int run_streaming(Program& program, const std::vector<Case>& cases, const std::function<double()>& copy_rate) {
  const Table table({{"case", 28, true}, {"ms", 8}, {"GB/s", 7}, {"of a copy", 9}});
  if (!program.serves()) table.header();
  return program.run(cases, [&](Result& r) {
    r.facts["gb_per_s"] = gb_per_second(r);
    r.facts["of_copy"] = gb_per_second(r) / (copy_rate() / 1e9);
    table.row({r.name, number(r.timing.median * 1e3), number(gb_per_second(r)),
               fmt::format("{:.0f} %", 100 * r.facts["of_copy"].get<double>())});
  });
}

}  // namespace dygrad::bench
