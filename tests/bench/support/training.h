// What the training programs, ours and the peer's, share: batch sizes, the table.
#pragma once

#include <cmath>
#include <stdexcept>
#include <vector>

#include <dygrad/tests/bench/support/machine.h>
#include <dygrad/tests/bench/support/program.h>
#include <dygrad/tests/bench/support/table.h>

namespace dygrad::bench {

/// Images a step.
struct Batches {
  explicit Batches(bool quick) : autoencoder(quick ? 4 : 128), dcgan(quick ? 2 : 64) {}
  std::int64_t autoencoder, dcgan;
};

/// A step whose loss is not a number would be timed on values that no training has.
inline void check_loss(double loss) {
  if (!std::isfinite(loss)) throw std::runtime_error("the loss is not finite");
}

inline int run_training(Program& program, const std::vector<Case>& cases) {
  const Table table({{"step", 12, true}, {"batch", 5}, {"ms", 8}, {"images/s", 9}, {"peak MiB", 8}});
  if (!program.serves()) table.header();
  return program.run(cases, [&](Result& r) {
    const double batch = r.facts["batch"].get<double>();
    r.facts["images_per_s"] = batch / r.timing.median;
    table.row({r.name, fmt::format("{}", batch), number(r.timing.median * 1e3),
               fmt::format("{:.0f}", batch / r.timing.median), fmt::format("{:.0f}", peak_memory_mib())});
  });
}

}  // namespace dygrad::bench
