// What the op-overhead programs, ours and the peer's, share: how many ops a call makes, the table, the differences.
#pragma once

#include <fmt/core.h>

#include <map>
#include <string>
#include <vector>

#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/table.h>

namespace dygrad::bench {

/// Ops that one timed call makes.
inline constexpr int kOps = 64;

inline double nanoseconds_an_op(const Result& r) { return r.timing.median * 1e9 / kOps; }

/// What follows from the cases "<op>/unrecorded", "<op>/recorded" and "<op>/step", where these were measured:
/// recording alone, and the way back.
inline Json overhead_differences(const std::vector<Result>& results) {
  std::map<std::string, double> ns;
  for (const Result& r : results) ns[r.name] = nanoseconds_an_op(r);
  Json json = Json::object();
  for (const auto& [name, recorded] : ns) {
    const std::size_t slash = name.find("/recorded");
    if (slash == std::string::npos) continue;
    const std::string op = name.substr(0, slash);
    if (ns.contains(op + "/unrecorded")) json[op + "/recording"] = recorded - ns[op + "/unrecorded"];
    if (ns.contains(op + "/step")) json[op + "/backward"] = ns[op + "/step"] - recorded;
  }
  return json;
}

inline int run_overhead(Program& program, const std::vector<Case>& cases) {
  program.facts["ops_a_call"] = kOps;
  const Table table({{"case", 24, true}, {"ns an op", 9}});
  if (!program.serves()) table.header();
  return program.run(
      cases,
      [&](Result& r) {
        r.facts["ns"] = nanoseconds_an_op(r);
        table.row({r.name, fmt::format("{:.1f}", nanoseconds_an_op(r))});
      },
      [&](const std::vector<Result>& results) {
        program.facts["summary"] = overhead_differences(results);
        for (const auto& [name, ns] : program.facts["summary"].items()) {
          table.row({name + " *", fmt::format("{:.1f}", ns.get<double>())});
        }
        fmt::print("* differences: recording = recorded - unrecorded, backward = step - recorded\n");
      });
}

}  // namespace dygrad::bench
